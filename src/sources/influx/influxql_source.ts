// Reads telemetry by InfluxQL, which InfluxDB 1.x, 2.x and 3.x speak; it must trust no part of an answer's shape.
import { parseLossless } from "../lossless_json.ts";
import { createMetricFilter } from "../metric_filter.ts";
import { RangeCollector } from "../range_collector.ts";
import type { Checkable } from "../source_check.ts";
import type { TelemetrySource } from "../telemetry_source.ts";
import { latestBounds, rangeBounds } from "../time_bounds.ts";
import { bucketName } from "./bucket_name.ts";
import { deviceChunks } from "./device_chunks.ts";
import { DeviceRows } from "./device_rows.ts";
import { InfluxConnection } from "./influx_connection.ts";
import { garbageFault, statementFault } from "./influx_fault.ts";
import type { InfluxOptions } from "./influx_options.ts";
import {
  type FieldKey,
  influxqlDevicesQuery,
  influxqlFieldKeysQuery,
  influxqlLatestQuery,
  type InfluxqlQuery,
  influxqlRangeQuery,
  influxqlWindowsQuery,
  type WindowColumn,
  windowColumns,
} from "./influxql_query.ts";
import { LatestCollector } from "./latest_collector.ts";
import { RangeRows } from "./range_rows.ts";
import type { RowSink } from "./stored_row.ts";

/**
 * 0.14 ms a device, whether 50 or 5,000 stand in a query (1.6.7): longer ones win nothing, and with ids of 128 bytes the
 * body stays below 1 MB, where 2.x refuses forms of more than 10.
 */
const maxDevicesPerQuery = 1_000;

/** So many series of a device, each of which has a row of an instant, can't cut the only sample that is asked for. */
const MIN_SAMPLES = 20;

interface Series {
  readonly deviceId: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly [storedAt: string, ...fields: unknown[]])[];
}

/** Integral doubles beyond 2^53 come as strings too: the answer's JSON does not tell them from integers. */
export function createInfluxqlSource(
  options: InfluxOptions,
): TelemetrySource & Checkable & Disposable {
  const { bucketTemplate, measurement, deviceTag, metadataKeys } = options;
  const connection = new InfluxConnection(options);
  const isMetric = createMetricFilter(metadataKeys);
  const ask = (form: Readonly<Record<string, string>>, signal: AbortSignal) =>
    connection.post("/query", {
      body: new URLSearchParams(form).toString(),
      contentType: "application/x-www-form-urlencoded",
      accept: "application/json",
      signal,
      read: readText,
    });
  const query = async (
    { text, parameters }: InfluxqlQuery,
    { database, signal }: { readonly database: string; readonly signal: AbortSignal },
  ) =>
    readSeries(
      await ask({ db: database, q: text, params: JSON.stringify(parameters) }, signal),
      deviceTag,
    );
  return {
    async readLatest({ tenantId, deviceIds, signal }) {
      const database = bucketName(bucketTemplate, tenantId);
      const collector = new LatestCollector({ deviceIds, metadataKeys });
      const bounds = latestBounds(options);
      const chunks = deviceIds === "all"
        ? [deviceIds]
        : deviceChunks(deviceIds, maxDevicesPerQuery);
      for (const chunk of chunks) {
        const latest = influxqlLatestQuery({ measurement, deviceTag, deviceIds: chunk, bounds });
        for (const series of await query(latest, { database, signal })) collect(series, collector);
      }
      return collector;
    },
    async readRange(range) {
      const { tenantId, deviceIds, resolutionSeconds, order, signal } = range;
      const database = bucketName(bucketTemplate, tenantId);
      const fewest = resolutionSeconds === null ? MIN_SAMPLES : 0;
      // One more than is wanted tells whether there are more.
      const limit = Math.max(range.maxSamples, fewest) + 1;
      const collector = new RangeCollector({ ...range, maxRows: limit });
      const bounds = rangeBounds(range, options);
      signal.throwIfAborted();
      if (bounds === null) return collector.result();
      // Asked each time: a field that is new to the measurement must not be missing, and it costs a look at the index.
      const columns = resolutionSeconds === null ? [] : windowColumns(
        readFieldKeys(await ask({ db: database, q: influxqlFieldKeysQuery(measurement) }, signal))
          .filter(({ name }) => isMetric(name)),
      );
      if (resolutionSeconds !== null && columns.length === 0) return collector.result();
      const rows = new RangeRows(collector, metadataKeys);
      const cut = { order, limit, offset: range.skipSamples ?? 0 };
      const common = { measurement, deviceTag, bounds, ...cut };
      for (const chunk of deviceChunks(deviceIds, maxDevicesPerQuery)) {
        const asked = { ...common, deviceIds: chunk };
        const samples = resolutionSeconds === null
          ? influxqlRangeQuery(asked)
          : influxqlWindowsQuery({ ...asked, resolutionSeconds, columns });
        for (const series of await query(samples, { database, signal })) {
          if (resolutionSeconds === null) collect(series, rows);
          else collectWindows(series, { columns, sink: rows });
        }
      }
      return collector.result();
    },
    async listDevices({ tenantId, limit, signal }) {
      const database = bucketName(bucketTemplate, tenantId);
      const bounds = latestBounds(options);
      const rows = new DeviceRows();
      const newest = influxqlDevicesQuery({ measurement, deviceTag, bounds });
      for (const series of await query(newest, { database, signal })) collect(series, rows);
      return rows.result(limit);
    },
    check: (signal) =>
      connection.probe("/query", {
        body: new URLSearchParams({ q: "SHOW DATABASES" }).toString(),
        contentType: "application/x-www-form-urlencoded",
        accept: "application/json",
        signal,
        read: async (chunks) => readResults(await readText(chunks)).forEach(throwReported),
      }),
    [Symbol.dispose]: () => connection[Symbol.dispose](),
  };
}

async function readText(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of chunks) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

function collect({ deviceId, columns, rows }: Series, sink: RowSink): void {
  // By place and not by name: a field may be called like the column before it.
  const names = columns.slice(1);
  for (const row of rows) sink.add({ deviceId, storedAt: row[0], names, values: row.slice(1) });
}

function collectWindows(
  { deviceId, columns: named, rows }: Series,
  { columns, sink }: { readonly columns: readonly WindowColumn[]; readonly sink: RowSink },
): void {
  if (named.length !== columns.length + 1) throw garbageFault("a window's columns are others");
  const names = columns.map(({ field }) => field);
  for (const row of rows) {
    const values = columns.map(({ isMean }, index) => {
      const value = row[index + 1];
      // A mean is a double, however many digits it was written with.
      return isMean && value !== null ? Number(value) : value;
    });
    sink.add({ deviceId, storedAt: row[0], names, values });
  }
}

function* readSeries(text: string, deviceTag: string): Generator<Series> {
  for (const item of readItems(text)) yield toSeries(item, deviceTag);
}

/** Throws for an answer whose rows are no names and types. */
function readFieldKeys(text: string): readonly FieldKey[] {
  return [...readItems(text)].flatMap((item) => {
    throwReported(item);
    if (!isObject(item) || !Array.isArray(item.values)) throw garbageFault("it has no field keys");
    return (item.values as unknown[]).map((row) => {
      const [name, type]: unknown[] = Array.isArray(row) ? row : [];
      if (typeof name !== "string" || typeof type !== "string" || !/^[a-z]+$/.test(type)) {
        throw garbageFault("a field key has no name or no type");
      }
      return { name, type };
    });
  });
}

function* readItems(text: string): Generator<unknown> {
  for (const result of readResults(text)) {
    throwReported(result);
    if (!isObject(result)) throw garbageFault("a result is not an object");
    const { series = [] } = result;
    if (!Array.isArray(series)) throw garbageFault("a result's series are not a list");
    yield* series as unknown[];
  }
}

function readResults(text: string): readonly unknown[] {
  let answer: unknown;
  try {
    answer = parseLossless(text);
  } catch (error) {
    throw garbageFault("it is not JSON", error);
  }
  throwReported(answer);
  if (!isObject(answer) || !Array.isArray(answer.results)) throw garbageFault("it has no results");
  return answer.results;
}

/** An error, or rows cut off by the server's `max-row-limit`: both mean that the answer is not one. */
function throwReported(part: unknown): void {
  if (!isObject(part)) return;
  if (typeof part.error === "string") throw statementFault(part.error);
  if (part.partial === true) {
    throw statementFault("the answer is cut off at the server's max-row-limit");
  }
}

function toSeries(item: unknown, deviceTag: string): Series {
  throwReported(item);
  if (!isObject(item) || !isObject(item.tags)) throw garbageFault("a series has no tags");
  const { tags, columns, values } = item;
  const deviceId = tags[deviceTag];
  if (typeof deviceId !== "string") throw garbageFault("a series names no device");
  if (!Array.isArray(columns) || !columns.every((column) => typeof column === "string")) {
    throw garbageFault("a series has no columns");
  }
  const isRow = (row: unknown): row is Series["rows"][number] =>
    Array.isArray(row) && row.length === columns.length && typeof row[0] === "string";
  if (!Array.isArray(values) || !values.every(isRow)) {
    throw garbageFault("a series' rows don't fit its columns");
  }
  return { deviceId, columns, rows: values };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
