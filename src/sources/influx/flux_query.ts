// Writes the Flux of a read; every name and id must pass the client's own escaping of string literals.
import { toFluxValue } from "@influxdata/influxdb-client";
import { balancedOr } from "./balanced_or.ts";
import type { TimeWindow } from "./time_window.ts";

export interface FluxQueryOptions {
  readonly bucket: string;
  readonly measurement: string;
  readonly deviceTag: string;
  readonly deviceIds: readonly string[];
  readonly window: TimeWindow;
}

/** The newest value of each field of each device; rows of one device are the instants of those values. */
export function fluxLatestQuery(options: FluxQueryOptions): string {
  const { bucket, deviceTag, deviceIds, window } = options;
  const tag = literal(deviceTag);
  const devices = balancedOr(deviceIds.map((id) => `r[${tag}] == ${literal(id)}`), "or");
  return [
    `from(bucket: ${literal(bucket)})`,
    `range(start: ${oneNanosecondLater(window.after)}, stop: ${oneNanosecondLater(window.until)})`,
    `filter(fn: (r) => r._measurement == ${literal(options.measurement)})`,
    // A field named like a column that stays would break the pivot, and with it the read of every device.
    `filter(fn: (r) => r._field != ${tag} and r._field != "_time")`,
    `filter(fn: (r) => ${devices})`,
    `last()`,
    `keep(columns: ["_time", "_field", "_value", ${tag}])`,
    `pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")`,
  ].join(" |> ");
}

/** Flux includes the start and excludes the stop; a window's bounds are the other way round. */
function oneNanosecondLater(milliseconds: string): string {
  return milliseconds.replace("Z", "000001Z");
}

/** The client escapes all that could end a literal or begin an expression, but not NUL, which ends Flux's reading. */
function literal(text: string): string {
  return toFluxValue(text).replaceAll("\0", "\\x00");
}
