// Numbered samples in the telemetry table; it must keep them through a killed server once it has acknowledged them.
import type postgres from "postgres";
import type { TestPostgres } from "../support/postgres.ts";
import { openDurableConnection } from "./durable_connection.ts";
import type { NumberedSample } from "./numbered_sample.ts";
import { type SampleStore, TENANT } from "./sample_store.ts";

export class TableStore implements SampleStore {
  readonly precision = 6;
  readonly settings = { TELEMETRY_SOURCE: "postgres" };
  readonly server = null;
  readonly #sql: postgres.Sql;

  constructor(server: TestPostgres) {
    this.#sql = openDurableConnection(server);
  }

  async write(samples: readonly NumberedSample[]): Promise<void> {
    await this.#sql.unsafe(
      `INSERT INTO telemetry (tenant_id, device_id, site_id, time, metrics)
       SELECT $1, "deviceId", 'plant-a', timestamp::timestamptz, jsonb_build_object('n', n)
       FROM jsonb_to_recordset($2::text::jsonb) AS sample ("deviceId" text, timestamp text, n int)
       ON CONFLICT (tenant_id, device_id, time) DO NOTHING`,
      [TENANT, JSON.stringify(samples)],
    );
  }

  async readAll(): Promise<readonly NumberedSample[]> {
    const rows = await this.#sql.unsafe(
      `SELECT device_id, to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"000Z"') AS timestamp,
              metrics ->> 'n' AS n
       FROM telemetry WHERE tenant_id = $1`,
      [TENANT],
    );
    return rows.map(({ device_id: deviceId, timestamp, n }) => ({
      deviceId,
      timestamp,
      n: Number(n),
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sql.end({ timeout: 1 });
  }
}
