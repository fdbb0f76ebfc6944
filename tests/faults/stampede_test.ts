// Both databases gone under two hundred tenants at once: the attempts at each are counted at its door.
import assert from "node:assert/strict";
import { lineProtocol } from "../sources/influx/line_protocol.ts";
import { findInfluxd, openInfluxd } from "../support/influxd.ts";
import { findPostgres, openPostgres } from "../support/postgres.ts";
import { pause, until } from "../support/until.ts";
import { FaultProxy } from "./fault_proxy.ts";
import { FaultRig, tenantNames } from "./fault_rig.ts";
import { maxProbes } from "./max_probes.ts";

const tenants = tenantNames(200);
const POLL_MS = 1_000;
const OUTAGE_MS = 5_000;

Deno.test({
  name: "Two hundred tenants that lose both databases make a handful of attempts at each",
  ignore: findPostgres() === null || findInfluxd() === null,
  async fn() {
    await using server = await openPostgres();
    await using influxd = await openInfluxd();
    await server.execute(
      `INSERT INTO fleet_alert (tenant_id, summary) VALUES ${
        tenants.map((tenant) => `('${tenant}', 'of ${tenant}')`).join(", ")
      }`,
    );
    for (const tenant of tenants) {
      await influxd.createDatabase(`telemetry_${tenant}`);
      const metrics = { owner: `${tenant}/dev-1` };
      const points = [{ deviceId: "dev-1", timestamp: new Date().toISOString(), metrics }];
      await influxd.write(`telemetry_${tenant}`, lineProtocol(points));
    }
    const telemetryDoor = new FaultProxy({
      targetPort: Number(new URL(influxd.url).port),
      marker: "POST /query",
    });
    const alertDoor = new FaultProxy({ targetPort: server.port, marker: "BEGIN ISOLATION" });
    await using doors = new AsyncDisposableStack();
    doors.use(telemetryDoor);
    doors.use(alertDoor);
    await using rig = new FaultRig({
      settings: {
        DATABASE_URL: alertDoor.through(server.appUrl),
        INFLUXDB_URL: telemetryDoor.through(influxd.url),
      },
      tenants,
      pollMs: POLL_MS,
      readTimeoutMs: 5_000,
    });
    const isServed = (from: number) =>
      rig.everyoneHas("telemetry", from) && rig.everyoneHas("alerts", from);
    await until(() => isServed(0), { withinMs: 60_000, what: "pushes to everybody" });

    telemetryDoor.mode = "refuse";
    alertDoor.mode = "refuse";
    const isDown = () => {
      const { telemetry, alerts } = rig.sources.state();
      return telemetry.state === "degraded" && alerts.state === "degraded";
    };
    await until(isDown, { what: "both to be known as degraded" });
    // What was under way is over once nobody has come for a while.
    let isQuiet = false;
    for (let look = 0; look < 20 && !isQuiet; look++) {
      for (const door of [telemetryDoor, alertDoor]) door.resetCounts();
      await pause(200);
      isQuiet = telemetryDoor.attempts + alertDoor.attempts === 0;
    }
    const { telemetry, alerts } = rig.sources.state();
    await pause(OUTAGE_MS);
    const probes = { telemetry: telemetryDoor.attempts, alerts: alertDoor.attempts };
    for (const [name, { since }] of Object.entries({ telemetry, alerts })) {
      const allowed = maxProbes(Date.now() - since, { baseMs: POLL_MS });
      const made = probes[name as keyof typeof probes];
      assert.ok(made <= allowed, `${made} attempts at ${name}, ${allowed} are allowed`);
    }

    const mendedAt = performance.now();
    telemetryDoor.mode = "forward";
    alertDoor.mode = "forward";
    for (const door of [telemetryDoor, alertDoor]) door.resetCounts();
    await until(() => isServed(mendedAt), { what: "pushes to everybody once more" });
    assert.ok(alertDoor.connections <= 8, `${alertDoor.connections} connections on recovery`);
    assert.equal(rig.log.of("source_degraded").length, 2);
    assert.equal(rig.log.of("source_recovered").length, 2);
    assert.deepEqual(rig.log.of("read_failed"), []);
    rig.checkHonest();
  },
});
