// Writes the InfluxQL of a read; device ids must only ever be bound parameters, never text of the query.
import { balancedOr } from "./balanced_or.ts";
import type { TimeWindow } from "./time_window.ts";

export interface InfluxqlQueryOptions {
  readonly measurement: string;
  readonly deviceTag: string;
  readonly deviceIds: readonly string[];
  readonly window: TimeWindow;
}

export interface InfluxqlQuery {
  readonly text: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The newest sample of each device with all its fields. */
export function influxqlLatestQuery(options: InfluxqlQueryOptions): InfluxqlQuery {
  const { deviceIds, window } = options;
  const tag = quoteIdentifier(options.deviceTag);
  // Without `::tag` a field of the same name would be compared, and the answer be another device's.
  const conditions = deviceIds.map((_, index) => `${tag}::tag = $d${index}`);
  const text = `SELECT *::field FROM ${quoteIdentifier(options.measurement)}` +
    ` WHERE ${
      balancedOr(conditions, "OR")
    } AND time > '${window.after}' AND time <= '${window.until}'` +
    ` GROUP BY ${tag} ORDER BY time DESC LIMIT 1`;
  return { text, parameters: Object.fromEntries(deviceIds.map((id, index) => [`d${index}`, id])) };
}

function quoteIdentifier(name: string): string {
  return `"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}
