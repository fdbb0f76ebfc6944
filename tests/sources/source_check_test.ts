// What the service can say of its databases before the first client comes, and each time it is asked.
import assert from "node:assert/strict";
import { systemClock } from "../../src/clock.ts";
import { readConfig } from "../../src/config.ts";
import { NO_METRICS } from "../../src/observe/metrics.ts";
import { openSources, type SourceDeps } from "../../src/sources/open_sources.ts";
import { findInfluxd, openInfluxd } from "../support/influxd.ts";
import { type MemoryLog, memoryLog } from "../support/memory_log.ts";
import { findPostgres, openPostgres } from "../support/postgres.ts";
import { TEST_SECRET } from "../support/tokens.ts";

const nowhere = {
  DATABASE_URL: "postgres://nobody:secret-word@127.0.0.1:1/none",
  INFLUXDB_URL: "http://127.0.0.1:1",
};

function open(settings: Readonly<Record<string, string>>, deps: Partial<SourceDeps> = {}) {
  const values: Readonly<Record<string, string>> = { JWT_SECRET: TEST_SECRET, ...settings };
  const config = readConfig({ get: (name) => values[name], readFile: Deno.readTextFileSync });
  const log: MemoryLog = memoryLog();
  return { log, sources: openSources(config, { clock: systemClock, log, ...deps }) };
}

const { signal } = new AbortController();

Deno.test("A check of databases that can't be reached says so of each, and never throws", async () => {
  const { sources, log } = open(nowhere);
  await using _sources = sources;
  const { telemetry, alerts } = await sources.check(signal);
  assert.deepEqual([telemetry.ok, alerts.ok], [false, false]);
  assert.equal(telemetry.ok || telemetry.kind, "unavailable");
  assert.equal(alerts.ok || alerts.kind, "unavailable");
  assert.doesNotMatch(JSON.stringify([telemetry, alerts]), /secret-word|127\.0\.0\.1/);
  assert.deepEqual(log.records.filter(({ level }) => level !== "debug"), []);
});

Deno.test("A check that is given up is no finding about the database", async () => {
  const { sources } = open(nowhere);
  await using _sources = sources;
  const { alerts } = await sources.check(AbortSignal.abort(new Error("Enough")));
  assert.deepEqual(alerts, { ok: false, kind: "unavailable", message: "Enough" });
  assert.equal(sources.state().alerts.state, "unknown");
});

Deno.test({
  name: "A check finds what can't be right before the first read, and all well once it is mended",
  ignore: findPostgres() === null || findInfluxd() === null,
  async fn() {
    await using server = await openPostgres();
    await using influxd = await openInfluxd({ admin: { username: "ann", password: "right" } });
    const settings = { DATABASE_URL: server.appUrl, INFLUXDB_URL: influxd.url };
    const user = { INFLUXDB_USERNAME: "ann", INFLUXDB_PASSWORD: "wrong" };
    await server.execute("ALTER TABLE fleet_alert DISABLE ROW LEVEL SECURITY");
    {
      let attempts = 0;
      const read = () => void attempts++;
      const metrics = { ...NO_METRICS, read };
      const { sources } = open({ ...settings, ...user }, { metrics });
      await using _sources = sources;
      for (let time = 0; time < 5; time++) {
        const { telemetry, alerts } = await sources.check(signal);
        assert.ok(!telemetry.ok && !alerts.ok);
        assert.equal(telemetry.kind, "denied");
        assert.match(telemetry.message, /InfluxDB refuses the credentials/);
        assert.equal(alerts.kind, "denied");
        assert.match(alerts.message, /row-level security is off/);
      }
      // The breaker lets nobody through more often because he asks more often.
      assert.equal(attempts, 6);
    }
    await server.execute("ALTER TABLE fleet_alert ENABLE ROW LEVEL SECURITY");
    {
      const { sources } = open({ ...settings, ...user, INFLUXDB_PASSWORD: "right" });
      await using _sources = sources;
      assert.deepEqual(await sources.check(signal), {
        telemetry: { ok: true },
        alerts: { ok: true },
      });
      assert.equal(sources.state().telemetry.state, "ok");
    }
  },
});

Deno.test({
  name:
    "A telemetry table that lacks its policy is found, and does not keep alerts from being read",
  ignore: findPostgres() === null,
  async fn() {
    await using server = await openPostgres();
    await server.execute("DROP POLICY telemetry_tenant ON telemetry");
    const { sources } = open({ DATABASE_URL: server.appUrl, TELEMETRY_SOURCE: "postgres" });
    await using _sources = sources;
    const { telemetry, alerts } = await sources.check(signal);
    assert.deepEqual(alerts, { ok: true });
    assert.ok(!telemetry.ok);
    assert.match(telemetry.message, /in "telemetry": no policy lets role "pulse_app" read it/);
    assert.deepEqual(await sources.alerts.readOpen({ tenantId: "acme", limit: 1, signal }), []);
  },
});
