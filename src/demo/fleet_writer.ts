// Lets the simulated fleet live: steps it once a second and writes what happened, as a platform's backend would.
import { type Clock, delay } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import type {
  Happenings,
  SimulatedAlert,
  SimulatedSample,
  SimulatedTenant,
} from "./simulated_tenant.ts";

export interface FleetWriterOptions {
  readonly tenants: readonly SimulatedTenant[];
  readonly database: {
    write(statements: string): Promise<void>;
    vacuum(): Promise<void>;
  };
  readonly clock: Clock;
  readonly log: Log;
}

const STEP_MS = 1_000;
const TIDY_MS = 60_000;
const KEEP_SAMPLES_MS = 15 * 60_000;
const KEEP_CLOSED_ALERTS_MS = 60 * 60_000;

export class FleetWriter implements AsyncDisposable {
  readonly #options: FleetWriterOptions;
  readonly #stopped = new AbortController();
  #life: Promise<void> = Promise.resolve();
  #tidiedAt = 0;

  constructor(options: FleetWriterOptions) {
    this.#options = options;
  }

  /** Writes the first step, then goes on until disposed. Rejects when not even the first can be written. */
  async start(): Promise<void> {
    this.#tidiedAt = this.#options.clock.now();
    await this.#step();
    this.#life = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await this.#life;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stopped;
    let dueAt = clock.now() + STEP_MS;
    for (;;) {
      await delay(clock, Math.max(0, dueAt - clock.now()), signal);
      if (signal.aborted) return;
      try {
        await this.#step();
      } catch (error) {
        log.error("demo_write_failed", { error });
      }
      // After a suspended laptop there is nothing to make up for.
      dueAt = Math.max(dueAt + STEP_MS, clock.now());
    }
  }

  async #step(): Promise<void> {
    const { tenants, database, clock } = this.#options;
    const nowMs = clock.now();
    const happenings: Happenings = { samples: [], opened: [], closed: [] };
    for (const tenant of tenants) tenant.step(nowMs, happenings);
    await database.write(statementsOf(happenings, nowMs));
    if (nowMs - this.#tidiedAt < TIDY_MS) return;
    this.#tidiedAt = nowMs;
    await database.write(tidyingOf(nowMs));
    await database.vacuum();
  }
}

function statementsOf({ samples, opened, closed }: Happenings, nowMs: number): string {
  return [
    `INSERT INTO telemetry (tenant_id, device_id, site_id, time, metrics)
     SELECT * FROM jsonb_to_recordset(${literal(samples.map(sampleRow))})
       AS sample (tenant_id text, device_id text, site_id text, time timestamptz, metrics jsonb)
     ON CONFLICT (tenant_id, device_id, time) DO UPDATE SET metrics = excluded.metrics`,
    `INSERT INTO fleet_alert
       (tenant_id, device_id, site_id, alert_type, severity, confidence, summary, fingerprint, created_at)
     SELECT * FROM jsonb_to_recordset(${literal(opened.map(alertRow))})
       AS alert (tenant_id text, device_id text, site_id text, alert_type text, severity int,
                 confidence real, summary text, fingerprint text, created_at timestamptz)`,
    `UPDATE fleet_alert SET status = 'CLOSED', closed_at = ${instant(nowMs)}
     FROM jsonb_to_recordset(${
      literal(closed.map(alertRow))
    }) AS over (tenant_id text, fingerprint text)
     WHERE fleet_alert.status = 'OPEN' AND fleet_alert.tenant_id = over.tenant_id
       AND fleet_alert.fingerprint = over.fingerprint`,
  ].join(";\n");
}

function tidyingOf(nowMs: number): string {
  return `DELETE FROM telemetry WHERE time < ${instant(nowMs - KEEP_SAMPLES_MS)};
    DELETE FROM fleet_alert WHERE closed_at < ${instant(nowMs - KEEP_CLOSED_ALERTS_MS)}`;
}

function sampleRow({ tenantId, deviceId, siteId, timeMs, metrics }: SimulatedSample) {
  const time = new Date(timeMs).toISOString();
  return { tenant_id: tenantId, device_id: deviceId, site_id: siteId, time, metrics };
}

function alertRow(alert: SimulatedAlert) {
  return {
    tenant_id: alert.tenantId,
    device_id: alert.deviceId,
    site_id: alert.siteId,
    alert_type: alert.type,
    severity: alert.severity,
    confidence: alert.confidence,
    summary: alert.summary,
    fingerprint: alert.fingerprint,
    created_at: new Date(alert.openedMs).toISOString(),
  };
}

function instant(ms: number): string {
  return `'${new Date(ms).toISOString()}'::timestamptz`;
}

function literal(rows: readonly unknown[]): string {
  return `'${JSON.stringify(rows).replaceAll("'", "''")}'::jsonb`;
}
