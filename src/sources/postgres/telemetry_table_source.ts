// Reads samples from a table of PostgreSQL or TimescaleDB; never without the tenant's transaction.
import type { Clock } from "../../clock.ts";
import type { MetricValue, Sample } from "../../protocol/server_messages.ts";
import { toNanoInstant } from "../instant.ts";
import { parseLossless } from "../lossless_json.ts";
import type { LatestQuery, LatestResult, TelemetrySource } from "../telemetry_source.ts";
import type { PostgresPool } from "./postgres_pool.ts";
import { quoteTable } from "./quote_identifier.ts";

export interface TelemetryTableOptions {
  /** `table` or `schema.table`. */
  readonly table: string;
  /** Samples older than this are not read. */
  readonly lookbackMs: number;
  /** Samples further ahead of the clock than this are not read. */
  readonly futureMs: number;
  /** Metrics of these names are dropped. */
  readonly metadataKeys: readonly string[];
  readonly clock: Clock;
}

const WRITTEN_OUT = /\d{21}/;
const STRING_OR_WRITTEN_OUT = /"(?:[^"\\]|\\.)*"|(?<![.\d])-?\d{21,}(?![\d.])/g;

/** Throws TypeError on a table name that can't exist. */
export function createTelemetryTableSource(
  pool: PostgresPool,
  options: TelemetryTableOptions,
): TelemetrySource {
  // LATERAL with LIMIT 1 is one step down the index for each device; DISTINCT ON would walk all their samples.
  const text = `
    SELECT wanted.device_id, newest.time, newest.metrics
    FROM unnest($2::text[]) AS wanted (device_id)
    CROSS JOIN LATERAL (
      SELECT to_char(sample.time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS time,
             sample.metrics::text AS metrics
      FROM ${quoteTable(options.table)} AS sample
      WHERE sample.tenant_id = $1 AND sample.device_id = wanted.device_id
        AND sample.time > to_timestamp($3::float8) AND sample.time <= to_timestamp($4::float8)
      ORDER BY sample.time DESC
      LIMIT 1
    ) AS newest`;
  const dropped = new Set(options.metadataKeys);
  return {
    async readLatest({ tenantId, deviceIds, signal }: LatestQuery): Promise<LatestResult> {
      const now = options.clock.now();
      const parameters = [
        tenantId,
        deviceIds.filter(canBeStored),
        (now - options.lookbackMs) / 1000,
        (now + options.futureMs) / 1000,
      ];
      const [rows] = await pool.readAsTenant(tenantId, [{ text, parameters }], { signal });
      const samples = new Map<string, Sample>();
      const unreadable = new Map<string, string>();
      for (const row of rows) {
        const deviceId = row.device_id ?? "";
        try {
          samples.set(deviceId, {
            timestamp: toNanoInstant(row.time ?? ""),
            metrics: readMetrics(row.metrics ?? null, dropped),
          });
        } catch (error) {
          unreadable.set(deviceId, error instanceof Error ? error.message : String(error));
        }
      }
      return { samples, unreadable };
    },
  };
}

/** One NUL would fail the query for every device, and half a character would be sent as a different one. */
function canBeStored(deviceId: string): boolean {
  return !deviceId.includes("\0") && deviceId.isWellFormed();
}

function readMetrics(
  text: string | null,
  dropped: ReadonlySet<string>,
): Readonly<Record<string, MetricValue>> {
  const stored = text === null ? null : parseLossless(foldDoubles(text));
  if (typeof stored !== "object" || stored === null || Array.isArray(stored)) {
    const kind = stored === null
      ? "null"
      : Array.isArray(stored)
      ? "an array"
      : `a ${typeof stored}`;
    throw new TypeError(
      `Cannot read metrics: a JSON object is expected, the stored value is ${kind}`,
    );
  }
  // `fromEntries` defines properties, so that a metric called `__proto__` is one and no more.
  return Object.fromEntries(
    Object.entries(stored).filter(([name, value]) =>
      value !== null && !dropped.has(name) && !name.startsWith("iox::")
    ),
  ) as Readonly<Record<string, MetricValue>>;
}

/**
 * jsonb writes 1.5e300 out, in 301 digits. An integer of more than 64 bits whose shortest double says the very same is
 * such a double and gets its exponent back; every other keeps its digits.
 */
function foldDoubles(text: string): string {
  if (!WRITTEN_OUT.test(text)) return text;
  return text.replace(STRING_OR_WRITTEN_OUT, (token) => {
    const value = Number(token);
    if (token.startsWith('"') || !Number.isFinite(value)) return token;
    const [digits = ""] = value.toExponential().split("e");
    return digits.replace(".", "") === token.replace(/0+$/, "") ? String(value) : token;
  });
}
