// Writes the InfluxQL of a read; device ids must only ever be bound parameters, never text of the query, and
// every name that stands in it is quoted.
import type { LatestQuery } from "../telemetry_source.ts";
import type { TimeBounds } from "../time_bounds.ts";
import { balancedOr } from "./balanced_or.ts";

export interface InfluxqlQueryOptions {
  readonly measurement: string;
  readonly deviceTag: string;
  readonly deviceIds: LatestQuery["deviceIds"];
  readonly bounds: TimeBounds;
}

export interface InfluxqlQuery {
  readonly text: string;
  readonly parameters: Readonly<Record<string, string>>;
}

export interface InfluxqlRangeOptions extends InfluxqlQueryOptions {
  readonly order: "ascending" | "descending";
  /** Most rows of one device. */
  readonly limit: number;
  /** Rows of one device that are left out first. */
  readonly offset: number;
}

export interface InfluxqlWindowsOptions extends InfluxqlRangeOptions {
  readonly resolutionSeconds: number;
  /** What stands in each column: InfluxQL's own expression, made by `windowColumns`. */
  readonly columns: readonly WindowColumn[];
}

/** A field as SHOW FIELD KEYS tells of it; one that has several types stands in several rows. */
export interface FieldKey {
  readonly name: string;
  readonly type: string;
}

/** One field's value of a window. */
export interface WindowColumn {
  readonly field: string;
  readonly isMean: boolean;
  readonly expression: string;
}

const NEWEST = { order: "descending", limit: 1, offset: 0 } as const;

/** InfluxQL reads a carriage return as a line feed, which ends a name, and NUL as the query's end, and has no escape for them. */
const unsayable = /[\r\0]/;

/**
 * The newest row of each series with all its fields. A device has several where tags beside its own differ, and its newest
 * sample may be in rows of more than one.
 */
export function influxqlLatestQuery(options: InfluxqlQueryOptions): InfluxqlQuery {
  const text = `SELECT *::field ${source(options)} GROUP BY * ${ordered(NEWEST)}`;
  return { text, parameters: parametersOf(options.deviceIds) };
}

/** A row of each device, of its newest instant. */
export function influxqlDevicesQuery(
  options: Omit<InfluxqlQueryOptions, "deviceIds">,
): InfluxqlQuery {
  return influxqlRangeQuery({ ...options, deviceIds: "all", ...NEWEST });
}

/** The samples of each device with all their fields, those of all its series in time order. */
export function influxqlRangeQuery(options: InfluxqlRangeOptions): InfluxqlQuery {
  const { deviceTag } = options;
  const text = `SELECT *::field ${source(options)} GROUP BY ${quoteIdentifier(deviceTag)}` +
    ` ${ordered(options)}`;
  return { text, parameters: parametersOf(options.deviceIds) };
}

/** One row for each window of each device that has values in it. */
export function influxqlWindowsQuery(options: InfluxqlWindowsOptions): InfluxqlQuery {
  const { columns, deviceTag, resolutionSeconds } = options;
  const selected = columns.map(({ expression }, index) => `${expression} AS "f${index}"`);
  const text = `SELECT ${selected.join(", ")} ${source(options)}` +
    ` GROUP BY time(${resolutionSeconds}s), ${quoteIdentifier(deviceTag)} fill(none)` +
    ` ${ordered(options)}`;
  return { text, parameters: parametersOf(options.deviceIds) };
}

/** The types of all fields; a wildcard would drop what it can't take the mean of, and rename the rest. */
export function influxqlFieldKeysQuery(measurement: string): string {
  return `SHOW FIELD KEYS FROM ${quoteIdentifier(measurement)}`;
}

/**
 * What to select of a window. A field that was a number here and a text there has a column for each, the number last:
 * a cast reads integers as floats, but never a text. Fields whose names InfluxQL can't say have none.
 */
export function windowColumns(fields: readonly FieldKey[]): readonly WindowColumn[] {
  const columns = new Map<string, WindowColumn>();
  for (const { name, type } of fields) {
    if (unsayable.test(name)) continue;
    const isMean = type !== "string" && type !== "boolean";
    const expression = isMean
      ? finiteMean(quoteIdentifier(name))
      : `last(${quoteIdentifier(name)}::${type})`;
    columns.set(expression, { field: name, isMean, expression });
  }
  return [...columns.values()].sort((a, b) => Number(a.isMean) - Number(b.isMean));
}

/**
 * Means overflow, and an answer that holds an infinity is none: InfluxDB can't write it as JSON. Nothing times an infinity
 * is no number, which comes as null.
 */
function finiteMean(field: string): string {
  const mean = `mean(${field}::float)`;
  return `${mean} + 0 * ${mean}`;
}

function source({ measurement, deviceTag, deviceIds, bounds }: InfluxqlQueryOptions): string {
  // Without `::tag` a field of the same name would be compared, and the answer be another device's.
  const tag = `${quoteIdentifier(deviceTag)}::tag`;
  const devices = deviceIds === "all"
    ? `${tag} != ''`
    : balancedOr(deviceIds.map((_, index) => `${tag} = $d${index}`), "OR");
  return `FROM ${quoteIdentifier(measurement)} WHERE ${devices}` +
    ` AND time > '${bounds.after}' AND time <= '${bounds.until}'`;
}

function ordered(
  { order, limit, offset }: Pick<InfluxqlRangeOptions, "order" | "limit" | "offset">,
): string {
  const cut = offset === 0 ? `LIMIT ${limit}` : `LIMIT ${limit} OFFSET ${offset}`;
  return `ORDER BY time ${order === "ascending" ? "ASC" : "DESC"} ${cut}`;
}

function parametersOf(deviceIds: LatestQuery["deviceIds"]): InfluxqlQuery["parameters"] {
  if (deviceIds === "all") return {};
  return Object.fromEntries(deviceIds.map((id, index) => [`d${index}`, id]));
}

function quoteIdentifier(name: string): string {
  return `"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}
