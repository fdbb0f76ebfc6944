// Reads samples from a table of PostgreSQL or TimescaleDB; never without the tenant's transaction.
import type { Clock } from "../../clock.ts";
import { toNanoInstant } from "../instant.ts";
import { RangeCollector } from "../range_collector.ts";
import type { Sample, TelemetrySource } from "../telemetry_source.ts";
import { latestBounds, rangeBounds } from "../time_bounds.ts";
import type { PostgresPool } from "./postgres_pool.ts";
import type { Row } from "./statement.ts";
import { readMetrics } from "./stored_metrics.ts";
import { telemetryTableQueries } from "./telemetry_table_queries.ts";

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

/** Throws TypeError on a table name that can't exist. */
export function createTelemetryTableSource(
  pool: PostgresPool,
  options: TelemetryTableOptions,
): TelemetrySource {
  const queries = telemetryTableQueries(options.table);
  const dropped = new Set(options.metadataKeys);
  const metadataKeys = options.metadataKeys.filter(canBeStored);
  const lookback = () => {
    const { after, until } = latestBounds(options);
    return [toMicros(after), toMicros(until)] as const;
  };
  const toSample = (row: Row): Sample => ({
    timestamp: toNanoInstant(row.time ?? ""),
    metrics: readMetrics(row.metrics ?? null, dropped),
  });
  return {
    async readLatest({ tenantId, deviceIds, signal }) {
      const statement = deviceIds === "all"
        ? { text: queries.latestOfAll, parameters: [tenantId, ...lookback()] }
        : {
          text: queries.latest,
          parameters: [tenantId, deviceIds.filter(canBeStored), ...lookback()],
        };
      const [rows] = await pool.readAsTenant(tenantId, [statement], { signal });
      const samples = new Map<string, Sample>();
      const unreadable = new Map<string, string>();
      for (const row of rows) {
        const deviceId = row.device_id ?? "";
        try {
          samples.set(deviceId, toSample(row));
        } catch (error) {
          unreadable.set(deviceId, reasonOf(error));
        }
      }
      return { samples, unreadable };
    },
    async readRange(range) {
      const { tenantId, deviceIds, resolutionSeconds, order, signal } = range;
      const collector = new RangeCollector(range);
      const bounds = rangeBounds(range, options);
      signal.throwIfAborted();
      if (bounds === null) return collector.result();
      const statement = {
        text: (resolutionSeconds === null ? queries.range : queries.windows)[order],
        parameters: [
          tenantId,
          deviceIds.filter(canBeStored),
          toMicros(bounds.after),
          toMicros(bounds.until),
          // One more than is wanted tells whether there are more.
          range.maxSamples + 1,
          range.skipSamples ?? 0,
          ...(resolutionSeconds === null ? [] : [resolutionSeconds, metadataKeys]),
        ],
      };
      const [rows] = await pool.readAsTenant(tenantId, [statement], { signal });
      for (const row of rows) {
        const deviceId = row.device_id ?? "";
        try {
          // A window tells by itself that a sample in it could not be taken apart.
          if (row.unreadable !== undefined && row.unreadable !== null) {
            collector.fail(
              deviceId,
              `Cannot read metrics: a JSON object is expected, a stored value is a JSON ${row.unreadable}`,
            );
          }
          collector.add(deviceId, toSample(row));
        } catch (error) {
          collector.fail(deviceId, reasonOf(error));
        }
      }
      return collector.result();
    },
    async listDevices({ tenantId, limit, signal }) {
      const parameters = [tenantId, ...lookback(), limit + 1];
      const [rows] = await pool.readAsTenant(
        tenantId,
        [{ text: queries.devices, parameters }],
        { signal },
      );
      const devices = rows.map((row) => ({
        device_id: row.device_id ?? "",
        last: toNanoInstant(row.time ?? ""),
      }));
      return { devices: devices.slice(0, limit), truncated: devices.length > limit };
    },
  };
}

/** The column holds microseconds: of an instant between two of them both bounds mean the earlier. */
function toMicros(instant: string): string {
  return `${instant.slice(0, 26)}Z`;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** One NUL would fail the query for every device, and half a character would be sent as a different one. */
function canBeStored(deviceId: string): boolean {
  return !deviceId.includes("\0") && deviceId.isWellFormed();
}
