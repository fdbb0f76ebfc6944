// The tenants of the stress, what the databases hold of them, and a writer that never stops; devices' ids are the same
// for all tenants, so that a mixed-up read would find something.
import { signToken } from "../support/tokens.ts";
import type { TestInfluxd } from "../support/influxd.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { pause } from "../support/until.ts";
import type { StressLedger } from "./ledger.ts";

export const TENANTS = Array.from({ length: 10 }, (_, nth) => `tenant-${nth}`);
export const DEVICES = Array.from({ length: 8 }, (_, nth) => `dev-${nth}`);

/** A token of the tenant; its clients come as few users, so that limits by user are met too. */
export function tokenOf(
  tenantId: string,
  { user = "user-1", seconds = 3_600 }: { user?: string; seconds?: number } = {},
): Promise<string> {
  const exp = Math.floor(Date.now() / 1_000) + seconds;
  return signToken({ tenant_id: tenantId, sub: user, exp });
}

/** What only one tenant has; nobody else may ever hear of it. */
export function privateDevice(tenantId: string): string {
  return `only-${tenantId}`;
}

/** A device of one tenant whose values are so long that a few of them fill every buffer on the way to a client. */
export const HEAVY = { tenantId: TENANTS[0]!, deviceId: "heavy" } as const;
const HEAVY_FILLING = "x".repeat(60_000);

export async function fillDatabases(
  { influxd, postgres }: { influxd: TestInfluxd; postgres: TestPostgres },
): Promise<void> {
  for (const tenantId of TENANTS) {
    await influxd.createDatabase(`telemetry_${tenantId}`);
    await postgres.execute(
      `INSERT INTO fleet_alert (tenant_id, site_id, device_id, alert_type, status, severity, summary)
       VALUES ($1, 'plant', 'dev-0', 'over_temperature', 'OPEN', 3, $2)`,
      [tenantId, `of ${tenantId}`],
    );
  }
}

/** Writes a value for every device of every tenant, again and again; what a dead database did not take is left out. */
export async function writeUntil(
  signal: AbortSignal,
  { influxd, ledger, everyMs }: { influxd: TestInfluxd; ledger: StressLedger; everyMs: number },
): Promise<void> {
  while (!signal.aborted) {
    await Promise.all(TENANTS.map(async (tenantId) => {
      const at = `${Date.now()}000000`;
      const deviceIds = [...DEVICES, privateDevice(tenantId)];
      if (tenantId === HEAVY.tenantId) deviceIds.push(HEAVY.deviceId);
      const lines = deviceIds.map((deviceId) => {
        const number = ledger.writing(tenantId, deviceId);
        const proof = ledger.proof(tenantId, deviceId, number);
        const filling = deviceId === HEAVY.deviceId ? `,filling="${HEAVY_FILLING}"` : "";
        return `telemetry,device_id=${deviceId} n=${number}i,proof="${proof}"${filling} ${at}`;
      });
      try {
        const written = influxd.write(`telemetry_${tenantId}`, lines.join("\n"));
        // A frozen database holds the request until it is thawed.
        await Promise.race([written, pause(10_000)]);
        written.catch(() => {});
        ledger.count("values written", lines.length);
      } catch {
        ledger.count("values not taken by the database", lines.length);
      }
    }));
    await pause(everyMs);
  }
}
