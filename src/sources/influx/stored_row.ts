// One row of an answer, and how it becomes a sample; it must know names only, never a fixed list of metrics.
import type { MetricValue, Sample } from "../../protocol/server_messages.ts";
import { toNanoInstant } from "../instant.ts";
import { createMetricFilter } from "../metric_filter.ts";

export interface StoredRow {
  readonly deviceId: string;
  readonly storedAt: string;
  /** Names and values; nulls are no values. */
  readonly fields: Iterable<readonly [name: string, value: unknown]>;
}

/** What takes an answer's rows as they come. */
export interface RowSink {
  add(row: StoredRow): void;
}

/** Makes the function that reads a row's metrics, those of `metadataKeys` dropped. */
export function createMetricReader(
  metadataKeys: readonly string[],
): (fields: StoredRow["fields"]) => Sample["metrics"] {
  const isMetric = createMetricFilter(metadataKeys);
  return (fields) => {
    const metrics: [string, MetricValue][] = [];
    for (const [name, value] of fields) {
      if (isMetricValue(value) && isMetric(name)) metrics.push([name, value]);
    }
    // It defines where an assignment would call the setter of `__proto__`.
    return Object.fromEntries(metrics);
  };
}

/** The row's instant with nine digits. Throws RangeError. */
export function instantOf(row: StoredRow): string {
  return toNanoInstant(row.storedAt);
}

/** InfluxDB's own types; NaN and the infinities, which JSON can't say, are no values. */
function isMetricValue(value: unknown): value is string | number | boolean {
  return typeof value === "number"
    ? Number.isFinite(value)
    : typeof value === "string" || typeof value === "boolean";
}
