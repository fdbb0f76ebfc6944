// The HTTP reads of the whole service on a real PostgreSQL and a real InfluxDB, beside clients that follow live.
import assert from "node:assert/strict";
import type { TestService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { Databases, instant, leftOut } from "./databases.ts";

type Step = (databases: Databases) => Promise<void>;

async function get(
  service: TestService,
  path: string,
  tenant: string,
  // deno-lint-ignore no-explicit-any
): Promise<{ status: number; headers: Headers; body: any }> {
  const headers = { authorization: `Bearer ${await signToken({ tenant_id: tenant })}` };
  const response = await fetch(`${service.origin}/api/v2${path}`, { headers });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

const steps: Readonly<Record<string, Step>> = {
  async "Devices, ranges, windows, newest samples and alerts are what the databases hold"(
    databases,
  ) {
    const at = (agoMs: number, nanos = 0) => instant({ agoMs, nanos });
    const taken = [at(30_000, 123_456_789), at(20_000, 1), at(10_000)];
    const oldest = at(40_000);
    await databases.write("acme", [
      ...taken.map((timestamp, n) => ({
        deviceId: "dev/1 é",
        siteId: n === 1 ? "plant-b" : "plant-a",
        timestamp,
        metrics: { v: n, big: 9_007_199_254_740_993n, seq: 1n },
      })),
      { deviceId: "dev-2", timestamp: oldest, metrics: { ok: true } },
    ]);
    const alertId = await databases.openAlert("acme", "first");
    const closedId = await databases.openAlert("acme", "second");
    await databases.closeAlert(closedId);
    await databases.openAlert("other", "not yours");
    await using service = await databases.serve();
    const devices = await get(service, "/devices", "acme");
    assert.deepEqual(devices.body, {
      tenant_id: "acme",
      devices: [{ device_id: "dev/1 é", last: taken[2] }, { device_id: "dev-2", last: oldest }],
      count: 2,
    });
    const path = `/devices/${encodeURIComponent("dev/1 é")}/telemetry`;
    const samples = taken.map((timestamp, v) => ({
      timestamp,
      metrics: { big: "9007199254740993", v },
    })).reverse();
    assert.deepEqual((await get(service, path, "acme")).body, {
      device_id: "dev/1 é",
      telemetry: samples,
      count: 3,
    });
    const between = await get(service, `${path}?start=${taken[0]}&end=${taken[2]}`, "acme");
    assert.deepEqual(between.body.telemetry, samples.slice(1));
    const after = taken[0]?.replace("789Z", "790Z");
    assert.equal((await get(service, `${path}?start=${after}`, "acme")).body.count, 2);
    const latest = await get(service, `${path}/latest?count=2`, "acme");
    assert.deepEqual(latest.body.telemetry, samples.slice(0, 2));
    const windows = await get(service, `${path}?resolution_seconds=3600`, "acme");
    const means = windows.body.telemetry.map(({ metrics }: { metrics: { v: number } }) =>
      metrics.v
    );
    assert.ok([1, 2].includes(means.length), "an hour may have just begun");
    if (means.length === 1) assert.equal(means[0], 1);
    const open = await get(service, "/alerts", "acme");
    assert.deepEqual(open.body.alerts.map((alert: { alert_id: number }) => alert.alert_id), [
      alertId,
    ]);
    const all = await get(service, "/alerts?status=ALL", "acme");
    assert.deepEqual(
      all.body.alerts.map(({ summary }: { summary: string }) => summary),
      ["second", "first"],
    );
  },

  async "Ids that try to break out of a query read nothing of anybody"(databases) {
    await databases.write("guarded", [
      { deviceId: "secret", timestamp: instant({ agoMs: 1_000 }), metrics: { v: 1 } },
    ]);
    await using service = await databases.serve();
    for (const id of [`x' OR '1'='1`, `x") OR ("1"="1`, "/.*/", "$d0", "secret' --", "SECRET"]) {
      for (const query of ["", "?resolution_seconds=60", "/latest"]) {
        const path = `/devices/${encodeURIComponent(id)}/telemetry${query}`;
        assert.equal((await get(service, path, "guarded")).body.count, 0, path);
      }
    }
    assert.equal((await get(service, "/devices/secret/telemetry", "guarded")).body.count, 1);
  },

  async "A tenant without a bucket is told that it has none, and its alerts are listed"(databases) {
    await using service = await databases.serve();
    await databases.openAlert("newcomer", "early");
    for (
      const path of [
        "/devices",
        "/devices/d/telemetry",
        "/devices/d/telemetry?resolution_seconds=5",
      ]
    ) {
      const { status, body, headers } = await get(service, path, "newcomer");
      assert.deepEqual([status, body.code], [503, "source_unavailable"]);
      assert.match(body.detail, /no store of telemetry/);
      assert.ok(Number(headers.get("retry-after")) >= 1);
    }
    assert.equal((await get(service, "/alerts", "newcomer")).body.count, 1);
  },

  async "A flood of HTTP reads of other tenants does not keep values from those who follow live"(
    databases,
  ) {
    for (const tenant of ["calm", ...Array.from({ length: 8 }, (_, n) => `flood-${n}`)]) {
      await databases.write(
        tenant,
        Array.from({ length: 500 }, (_, n) => ({
          deviceId: "dev-1",
          timestamp: instant({ agoMs: 1_000 * (n + 1) }),
          metrics: { a: n, b: n, c: n },
        })),
      );
    }
    await using service = await databases.serve({ MAX_READS: "4", WS_POLL_SECONDS: "0.2" });
    await using client = await service.connect({ tenant_id: "calm" });
    await client.subscribe("dev-1");
    await client.push("telemetry");
    let isOver = false;
    const statuses = new Map<number, number>();
    const flood = Array.from({ length: 16 }, async (_, n) => {
      while (!isOver) {
        const path = "/devices/dev-1/telemetry?limit=500";
        const { status } = await get(service, path, `flood-${n % 8}`);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    });
    try {
      for (let tick = 0; tick < 10; tick++) await client.push("telemetry");
      await until(() => (statuses.get(200) ?? 0) >= 20, { what: "twenty answers" });
    } finally {
      isOver = true;
      await Promise.all(flood);
    }
    assert.ok([...statuses.keys()].every((status) => status === 200 || status === 429));
  },

  async "A database that stops is a problem while it is away, and is read again once it is back"(
    databases,
  ) {
    await databases.write("steady", [
      { deviceId: "dev-1", timestamp: instant({ agoMs: 1_000 }), metrics: { v: 1 } },
    ]);
    await databases.openAlert("steady", "lasting");
    await using service = await databases.serve();
    const status = async (path: string) => (await get(service, path, "steady")).status;
    const list = "/devices/dev-1/telemetry";
    assert.deepEqual([await status(list), await status("/alerts")], [200, 200]);
    await databases.influxd.kill();
    for (let n = 0; n < 5; n++) assert.equal(await status(list), 503);
    assert.deepEqual([await status("/devices"), await status("/alerts")], [503, 200]);
    const health = await get(service, "/health", "steady");
    assert.deepEqual([health.status, health.body.status], [200, "degraded"]);
    await databases.influxd.restart();
    await until(async () => await status(list) === 200);
    await databases.postgres.kill();
    for (let n = 0; n < 5; n++) assert.equal(await status("/alerts"), 503);
    assert.equal(await status(list), 200);
    await databases.postgres.restart("fast");
    await until(async () => await status("/alerts") === 200);
    assert.equal((await get(service, "/health", "steady")).body.status, "ok");
    assert.deepEqual(service.log.of("request_failed"), []);
  },
};

const missing = leftOut();
Deno.test({
  name: `HTTP reads on a real PostgreSQL and a real InfluxDB 1.x${
    missing === null ? "" : ` (${missing})`
  }`,
  ignore: missing !== null,
  async fn(t) {
    await using databases = await Databases.open();
    for (const [behaviour, step] of Object.entries(steps)) {
      await t.step(behaviour, () => step(databases));
    }
  },
});
