// The real databases under a whole service, with writers for both; it must never read what the service reads.
import { systemClock } from "../../src/clock.ts";
import { openSources } from "../../src/sources/open_sources.ts";
import { lineProtocol } from "../sources/influx/line_protocol.ts";
import type { TelemetryPoint } from "../sources/telemetry_fixture.ts";
import { findInfluxd, openInfluxd, type TestInfluxd } from "../support/influxd.ts";
import { findPostgres, openPostgres, type TestPostgres } from "../support/postgres.ts";
import { startService, type TestService } from "../support/service.ts";
import { CountingProxy } from "./counting_proxy.ts";

export type Settings = Readonly<Record<string, string>>;

/** What is not installed, in words for a test's name; null where both are. */
export function leftOut(): string | null {
  const missing = [
    ...(findInfluxd() === null ? ["influxd is not installed"] : []),
    ...(findPostgres() === null ? ["PostgreSQL is not installed"] : []),
  ];
  return missing.length === 0 ? null : `left out: ${missing.join(", ")}`;
}

export class Databases implements AsyncDisposable {
  readonly postgres: TestPostgres;
  readonly influxd: TestInfluxd;
  readonly telemetryReads: CountingProxy;
  readonly alertReads: CountingProxy;
  readonly #tenants = new Set<string>();

  static async open(): Promise<Databases> {
    const [postgres, influxd] = await Promise.all([openPostgres(), openInfluxd()]);
    return new Databases(postgres, influxd);
  }

  private constructor(postgres: TestPostgres, influxd: TestInfluxd) {
    this.postgres = postgres;
    this.influxd = influxd;
    this.telemetryReads = new CountingProxy({
      targetPort: Number(new URL(influxd.url).port),
      marker: "POST /query",
    });
    this.alertReads = new CountingProxy({ targetPort: postgres.port, marker: "BEGIN ISOLATION" });
  }

  /** The service on these databases, both seen through the counting proxies. */
  async serve(settings: Settings = {}): Promise<TestService> {
    return await startService({
      settings: { ...this.settings, WS_POLL_SECONDS: "0.2", ...settings },
      sources: (config, log) => openSources(config, { clock: systemClock, log }),
    });
  }

  get settings(): Settings {
    return {
      DATABASE_URL: this.alertReads.through(this.postgres.appUrl),
      INFLUXDB_URL: this.telemetryReads.through(this.influxd.url).replace(/\/$/, ""),
    };
  }

  async write(tenantId: string, points: readonly TelemetryPoint[]): Promise<void> {
    const database = `telemetry_${tenantId}`;
    if (!this.#tenants.has(tenantId)) await this.influxd.createDatabase(database);
    this.#tenants.add(tenantId);
    await this.influxd.write(database, lineProtocol(points));
  }

  /** Opens an alert and returns its id. */
  async openAlert(tenantId: string, summary: string, createdAt = "now()"): Promise<number> {
    const [row] = await this.postgres.execute(
      `INSERT INTO fleet_alert (tenant_id, site_id, device_id, alert_type, status, severity, confidence, summary, created_at)
       VALUES ($1, 'plant-a', 'dev-1', 'over_temperature', 'OPEN', 3, 0.9, $2, ${createdAt})
       RETURNING id::text AS id`,
      [tenantId, summary],
    );
    return Number(row?.id);
  }

  async closeAlert(alertId: number): Promise<void> {
    await this.postgres.execute(
      "UPDATE fleet_alert SET status = 'CLOSED', closed_at = now() WHERE id = $1",
      [alertId],
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.telemetryReads[Symbol.asyncDispose]();
    await this.alertReads[Symbol.asyncDispose]();
    await this.influxd.stop();
    await this.postgres.stop();
  }
}

/** So many milliseconds before now, with the nanoseconds given after the whole second. */
export function instant({ agoMs = 0, nanos = 0 }: { agoMs?: number; nanos?: number } = {}): string {
  const second = new Date(Date.now() - agoMs).toISOString().slice(0, 19);
  return `${second}.${String(nanos).padStart(9, "0")}Z`;
}
