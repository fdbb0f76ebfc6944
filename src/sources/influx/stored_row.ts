// One row of an answer, and how it becomes a sample; it must know names only, never a fixed list of metrics.
import type { MetricValue, Sample } from "../../protocol/server_messages.ts";
import { toNanoInstant } from "../instant.ts";
import { createMetricFilter } from "../metric_filter.ts";

export interface StoredRow {
  readonly deviceId: string;
  readonly storedAt: string;
  /** The fields' names: one list for all rows of a table, which costs less than one for each. */
  readonly names: readonly string[];
  /** The fields' values, in the order of their names; nulls are no values. */
  readonly values: readonly unknown[];
}

/** What takes an answer's rows as they come. */
export interface RowSink {
  add(row: StoredRow): void;
}

/** Makes the function that reads a row's metrics, those of `metadataKeys` dropped. */
export function createMetricReader(
  metadataKeys: readonly string[],
): (row: Pick<StoredRow, "names" | "values">) => Sample["metrics"] {
  const isMetric = createMetricFilter(metadataKeys);
  let table: Table = { names: [], columns: [], hasProto: false };
  return ({ names, values }) => {
    if (table.names !== names) table = tableOf(names, isMetric);
    const { columns, hasProto } = table;
    const metrics: Record<string, MetricValue> = {};
    for (const { name, index } of columns) {
      const value = values[index];
      if (!isMetricValue(value)) continue;
      if (hasProto) define(metrics, { name, value });
      else metrics[name] = value;
    }
    return metrics;
  };
}

/** The metrics among a table's columns. */
interface Table {
  readonly names: readonly string[];
  readonly columns: readonly { readonly name: string; readonly index: number }[];
  /** Whether an assignment could call a setter. */
  readonly hasProto: boolean;
}

function tableOf(names: readonly string[], isMetric: (name: string) => boolean): Table {
  const columns = names.map((name, index) => ({ name, index })).filter(({ name }) =>
    isMetric(name)
  );
  return { names, columns, hasProto: names.includes("__proto__") };
}

function define(
  metrics: Record<string, MetricValue>,
  { name, value }: { readonly name: string; readonly value: MetricValue },
): void {
  Object.defineProperty(metrics, name, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
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
