// Reads telemetry by InfluxQL, which InfluxDB 1.x, 2.x and 3.x speak; it must trust no part of an answer's shape.
import { parseLossless } from "../lossless_json.ts";
import type { TelemetrySource } from "../telemetry_source.ts";
import { bucketName } from "./bucket_name.ts";
import { deviceChunks } from "./device_chunks.ts";
import { InfluxConnection } from "./influx_connection.ts";
import { garbageFault, statementFault } from "./influx_fault.ts";
import type { InfluxOptions } from "./influx_options.ts";
import { influxqlLatestQuery } from "./influxql_query.ts";
import { LatestCollector } from "./latest_collector.ts";
import { timeWindow } from "./time_window.ts";

/**
 * 0.14 ms a device, whether 50 or 5,000 stand in a query (1.6.7): longer ones win nothing, and with ids of 128 bytes the
 * body stays below 1 MB, where 2.x refuses forms of more than 10.
 */
const maxDevicesPerQuery = 1_000;

interface Series {
  readonly deviceId: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly [storedAt: string, ...fields: unknown[]])[];
}

/** Integral doubles beyond 2^53 come as strings too: the answer's JSON does not tell them from integers. */
export function createInfluxqlSource(options: InfluxOptions): TelemetrySource {
  const { bucketTemplate, measurement, deviceTag, metadataKeys, clock } = options;
  const connection = new InfluxConnection(options);
  return {
    async readLatest({ tenantId, deviceIds, signal }) {
      const database = bucketName(bucketTemplate, tenantId);
      const collector = new LatestCollector({ deviceIds, metadataKeys });
      const window = timeWindow(clock.now(), options);
      for (const chunk of deviceChunks(deviceIds, maxDevicesPerQuery)) {
        const query = influxqlLatestQuery({ measurement, deviceTag, deviceIds: chunk, window });
        const parameters = JSON.stringify(query.parameters);
        const text = await connection.post("/query", {
          body: new URLSearchParams({ db: database, q: query.text, params: parameters }).toString(),
          contentType: "application/x-www-form-urlencoded",
          accept: "application/json",
          signal,
          read: readText,
        });
        for (const series of readSeries(text, deviceTag)) collect(series, collector);
      }
      return collector;
    },
  };
}

async function readText(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of chunks) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

function collect({ deviceId, columns, rows }: Series, collector: LatestCollector): void {
  for (const [storedAt, ...values] of rows) {
    // By place and not by name: a field may be called like the column before it.
    const fields = values.map((value, index) => [columns[index + 1] as string, value] as const);
    collector.add({ deviceId, storedAt, fields });
  }
}

function* readSeries(text: string, deviceTag: string): Generator<Series> {
  let answer: unknown;
  try {
    answer = parseLossless(text);
  } catch (error) {
    throw garbageFault("it is not JSON", error);
  }
  throwReported(answer);
  if (!isObject(answer) || !Array.isArray(answer.results)) throw garbageFault("it has no results");
  for (const result of answer.results as unknown[]) {
    throwReported(result);
    if (!isObject(result)) throw garbageFault("a result is not an object");
    const { series = [] } = result;
    if (!Array.isArray(series)) throw garbageFault("a result's series are not a list");
    for (const item of series as unknown[]) yield toSeries(item, deviceTag);
  }
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
