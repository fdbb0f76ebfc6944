// Writes the Flux of a read; every name and id must pass the client's own escaping of string literals.
import { toFluxValue } from "@influxdata/influxdb-client";
import { instantOfNanos, nanosOf } from "../../protocol/nano_instant.ts";
import type { LatestQuery } from "../telemetry_source.ts";
import type { TimeBounds } from "../time_bounds.ts";
import { balancedOr } from "./balanced_or.ts";

export interface FluxQueryOptions {
  readonly bucket: string;
  readonly measurement: string;
  readonly deviceTag: string;
  readonly deviceIds: LatestQuery["deviceIds"];
  readonly bounds: TimeBounds;
}

export interface FluxRangeOptions extends FluxQueryOptions {
  readonly order: "ascending" | "descending";
  /** Most rows of one device. */
  readonly limit: number;
  /** Rows of one device that are left out first. */
  readonly offset: number;
}

export interface FluxWindowsOptions extends FluxRangeOptions {
  readonly resolutionSeconds: number;
  /** Fields that are no metrics: a window that holds nothing else is none, and must not count against the limit. */
  readonly metadataKeys: readonly string[];
}

/** The newest value of each field of each device; rows of one device are the instants of those values. */
export function fluxLatestQuery(options: FluxQueryOptions): string {
  return [...stored(options), `last()`, ...samples(options)].join(" |> ");
}

/** The samples of each device with all their fields. */
export function fluxRangeQuery(options: FluxRangeOptions): string {
  const { order } = options;
  const limit = options.limit + options.offset;
  // The storage gives each series in time order. No sample of the answer is beyond the limit in any of its series.
  const cut = order === "ascending" ? `limit(n: ${limit})` : `tail(n: ${limit})`;
  return [...stored(options), cut, ...samples(options), ...ordered(options)].join(" |> ");
}

/** One row for each window of each device that has values in it; a window that the range cuts starts where it is cut. */
export function fluxWindowsQuery(options: FluxWindowsOptions): string {
  const { deviceTag, resolutionSeconds, metadataKeys } = options;
  const windows = (aggregate: "mean" | "last") =>
    `aggregateWindow(every: ${resolutionSeconds}s, fn: ${aggregate}, createEmpty: false, timeSrc: "_start")`;
  // A device that moved has a series for each site, but one mean.
  const together = `group(columns: ["_field", ${literal(deviceTag)}])`;
  const kept = metadataKeys.map((key) => `filter(fn: (r) => r._field != ${literal(key)})`);
  const isNumber = "types.isNumeric(v: r._value)";
  const means = [
    `stored`,
    `filter(fn: (r) => ${isNumber})`,
    `toFloat()`,
    together,
    windows("mean"),
  ];
  const others = [
    `stored`,
    `filter(fn: (r) => not ${isNumber})`,
    together,
    `sort(columns: ["_time"])`,
    windows("last"),
  ];
  return [
    `import "types"`,
    `stored = ${[...stored(options), ...kept].join(" |> ")}`,
    `means = ${means.join(" |> ")}`,
    `others = ${others.join(" |> ")}`,
    [`union(tables: [means, others])`, ...samples(options), ...ordered(options)].join(" |> "),
  ].join("\n");
}

/** The newest instant of every device that has one, the newest devices first. */
export function fluxDevicesQuery(
  options: Omit<FluxQueryOptions, "deviceIds"> & { readonly limit: number },
): string {
  const newestFirst = `sort(columns: ["_time"], desc: true)`;
  return [
    ...stored({ ...options, deviceIds: "all" }),
    `last()`,
    `keep(columns: ["_time", ${literal(options.deviceTag)}])`,
    newestFirst,
    `limit(n: 1)`,
    `group()`,
    newestFirst,
    `limit(n: ${options.limit})`,
  ].join(" |> ");
}

function stored(options: FluxQueryOptions): readonly string[] {
  const { bucket, measurement, deviceTag, deviceIds, bounds } = options;
  const tag = literal(deviceTag);
  const devices = deviceIds === "all"
    ? `r[${tag}] != ""`
    : balancedOr(deviceIds.map((id) => `r[${tag}] == ${literal(id)}`), "or");
  return [
    `from(bucket: ${literal(bucket)})`,
    `range(start: ${oneNanosecondLater(bounds.after)}, stop: ${oneNanosecondLater(bounds.until)})`,
    `filter(fn: (r) => r._measurement == ${literal(measurement)})`,
    // A field named like a column that stays would break the pivot, and with it the read of every device.
    `filter(fn: (r) => r._field != ${tag} and r._field != "_time")`,
    `filter(fn: (r) => ${devices})`,
  ];
}

function samples({ deviceTag }: Pick<FluxQueryOptions, "deviceTag">): readonly string[] {
  return [
    `keep(columns: ["_time", "_field", "_value", ${literal(deviceTag)}])`,
    `pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")`,
  ];
}

function ordered(
  { order, limit, offset }: Pick<FluxRangeOptions, "order" | "limit" | "offset">,
): readonly string[] {
  const cut = offset === 0 ? `limit(n: ${limit})` : `limit(n: ${limit}, offset: ${offset})`;
  return [`sort(columns: ["_time"], desc: ${order === "descending"})`, cut];
}

/** Flux includes the start and excludes the stop; the bounds are the other way round. */
function oneNanosecondLater(instant: string): string {
  return instantOfNanos(nanosOf(instant) + 1n);
}

/**
 * The client escapes what could end a literal or begin an expression. What it leaves as it is: NUL, which ends Flux's
 * reading, and a `$` before another escape, which Flux takes together with that escape's backslash.
 */
function literal(text: string): string {
  const escaped = toFluxValue(text).replaceAll("\\${", "${");
  return escaped.replaceAll("$", "\\x24").replaceAll("\0", "\\x00");
}
