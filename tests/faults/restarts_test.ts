// A hundred restarts of each database under load: the process lives, nothing wrong is sent, and both come back each time.
import assert from "node:assert/strict";
import { lineProtocol } from "../sources/influx/line_protocol.ts";
import { findInfluxd, openInfluxd } from "../support/influxd.ts";
import { findPostgres, openPostgres, type TestPostgres } from "../support/postgres.ts";
import { until } from "../support/until.ts";
import { FaultRig, tenantNames } from "./fault_rig.ts";

const tenants = tenantNames(30);
const POLL_MS = 100;
const RESTARTS = 100;
/** A slow machine may not get through them all in time, but gets through these. */
const LEAST_RESTARTS = 25;
/** Every so often the whole server and not only what serves connections. */
const FULL_RESTART_EVERY = 20;
const DEADLINE_MS = 60_000;

/** Kills a backend, on which PostgreSQL ends all the others, recovers from its log and starts again. */
async function crash(server: TestPostgres): Promise<void> {
  let pid: number | null = null;
  await until(async () => {
    try {
      const [row] = await server.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'pulsewire' LIMIT 1",
      );
      pid = row === undefined ? null : Number(row.pid);
    } catch (error) {
      // It is still about the last one.
      if (!(error instanceof Error) || !("code" in error)) throw error;
    }
    return pid !== null;
  }, { what: "a connection of the service" });
  try {
    Deno.kill(pid!, "SIGKILL");
  } catch (error) {
    // It has ended by itself.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

Deno.test({
  name: "A hundred restarts of each database under load end nothing, mix nothing and are got over",
  ignore: findPostgres() === null || findInfluxd() === null,
  async fn() {
    await using server = await openPostgres();
    await using influxd = await openInfluxd();
    await server.execute(
      `INSERT INTO fleet_alert (tenant_id, summary) VALUES ${
        tenants.map((tenant) => `('${tenant}', 'of ${tenant}')`).join(", ")
      }; CHECKPOINT`,
    );
    for (const tenant of tenants) {
      await influxd.createDatabase(`telemetry_${tenant}`);
      const metrics = { owner: `${tenant}/dev-1` };
      const points = [{ deviceId: "dev-1", timestamp: new Date().toISOString(), metrics }];
      await influxd.write(`telemetry_${tenant}`, lineProtocol(points));
    }
    await using rig = new FaultRig({
      settings: { DATABASE_URL: server.appUrl, INFLUXDB_URL: influxd.url },
      tenants,
      pollMs: POLL_MS,
      readTimeoutMs: 2_000,
    });
    const served = (kind: "telemetry" | "alerts", from: number) =>
      until(() => rig.pushesOf(kind, from).length > 0, {
        what: `a push of ${kind} after a restart`,
      });
    const startedAt = performance.now();
    await until(() => rig.everyoneHas("telemetry", 0) && rig.everyoneHas("alerts", 0));
    const isTime = (count: number) =>
      count < LEAST_RESTARTS || performance.now() - startedAt < DEADLINE_MS;
    let crashes = 0;
    let restarts = 0;
    await Promise.all([
      (async () => {
        for (; crashes < RESTARTS && isTime(crashes); crashes++) {
          if (crashes % FULL_RESTART_EVERY === 0) await server.restart("immediate");
          else await crash(server);
          await served("alerts", performance.now());
        }
      })(),
      (async () => {
        for (; restarts < RESTARTS && isTime(restarts); restarts++) {
          await influxd.restart();
          await served("telemetry", performance.now());
        }
      })(),
    ]);
    const now = performance.now();
    await until(() => rig.everyoneHas("telemetry", now) && rig.everyoneHas("alerts", now), {
      what: "pushes to everybody at the end",
    });
    rig.checkHonest();
    const lost = rig.log.of("postgres_disconnected").length;
    assert.ok(lost >= crashes, `${crashes} restarts ended only ${lost} connections`);
    const told = (event: string) => rig.log.of(event).length;
    assert.ok(told("source_degraded") <= crashes + restarts);
    assert.equal(told("source_degraded"), told("source_recovered"));
  },
});
