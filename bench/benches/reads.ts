// What the databases are asked, by how many sockets and tenants there are.
import type { Bench, Row } from "../bench.ts";
import { expectRenewed, Load } from "../load/load.ts";
import { pause } from "../pause.ts";
import { SOCKET_PATH, startService } from "../service.ts";
import type { Reads } from "../subjects/service_entry.ts";
import { whole } from "../statistics.ts";
import { tenantTokens } from "../tokens.ts";

const POLL_MS = 500;
const TICKS = 4;
const DEVICES = 10;
const LINGER_MS = 1_500;
const ROWS = [
  { tenants: 1, sockets: 1 },
  { tenants: 1, sockets: 10 },
  { tenants: 1, sockets: 100 },
  { tenants: 1, sockets: 1_000 },
  { tenants: 1, sockets: 5_000 },
  { tenants: 10, sockets: 1_000 },
  { tenants: 100, sockets: 1_000 },
];

export const reads: Bench = {
  name: "reads",
  work:
    "Sockets that follow 10 devices and alerts, of one tenant and of many: reads of telemetry and transactions " +
    "on alerts for each tick of 0.5 s, counted at the ports to the databases",
  async run({ scale, say }) {
    const { process, port } = await startService({
      synthetic: { devices: DEVICES, changingPercent: 100, readMs: 1, samplesPerSecond: 0 },
    }, { WS_POLL_SECONDS: String(POLL_MS / 1_000) });
    await using _process = process;
    const rows: Row[] = [];
    const count = async (): Promise<{ telemetry: number; alerts: number }> => {
      await process.ask(["reads"]);
      const startedAt = performance.now();
      await pause(POLL_MS * TICKS);
      const { telemetry, alerts } = await process.ask<Reads>(["reads"]);
      const ticks = (performance.now() - startedAt) / POLL_MS;
      return { telemetry: telemetry / ticks, alerts: alerts / ticks };
    };
    for (const { tenants, sockets: wanted } of ROWS) {
      const sockets = Math.max(tenants, Math.round(wanted * scale));
      say(`${sockets} sockets of ${tenants} tenants`);
      await using load = new Load({
        maxSockets: sockets,
        tenants,
        devicesPerSocket: DEVICES,
        devicesOfTenant: DEVICES,
        isEvery: false,
      });
      await load.connect({
        port,
        path: SOCKET_PATH,
        tokens: await tenantTokens(tenants),
        count: sockets,
        inFlight: 64,
        follow: { devices: true, alerts: true },
      });
      await pause(POLL_MS);
      await load.read();
      const { telemetry, alerts } = await count();
      const reading = await load.read();
      expectRenewed(reading, sockets * DEVICES);
      if (reading.alerts < sockets) {
        throw new Error(`${sockets} sockets got ${reading.alerts} lists`);
      }
      rows.push({
        what: `${whole(sockets)} sockets of ${tenants} tenant${tenants === 1 ? "" : "s"}`,
        value: `${(telemetry / tenants).toFixed(2)} reads and ${
          (alerts / tenants).toFixed(2)
        } transactions a tenant and tick`,
        goal: "≤ 1 and ≤ 1",
        // A window may hold one tick more than its length says.
        isMet: Math.max(telemetry, alerts) <= tenants * (1 + 1 / TICKS) + 0.01,
      });
    }
    await pause(LINGER_MS);
    const { telemetry, alerts } = await count();
    rows.push({
      what: "nobody",
      value: `${telemetry.toFixed(2)} reads and ${alerts.toFixed(2)} transactions a tick`,
      goal: "0 and 0",
      isMet: telemetry + alerts === 0,
    });
    return rows;
  },
};
