// Reads telemetry by Flux, for InfluxDB 2.x; it must notice an answer that ends early or in an error.
import {
  chunksToLinesIterable,
  type FluxTableColumn,
  type FluxTableMetaData,
  linesToRowsIterable,
} from "@influxdata/influxdb-client";
import { RangeCollector } from "../range_collector.ts";
import type { Checkable } from "../source_check.ts";
import type { TelemetrySource } from "../telemetry_source.ts";
import { latestBounds, rangeBounds } from "../time_bounds.ts";
import { bucketName } from "./bucket_name.ts";
import { deviceChunks } from "./device_chunks.ts";
import { DeviceRows } from "./device_rows.ts";
import {
  fluxDevicesQuery,
  fluxLatestQuery,
  fluxRangeQuery,
  fluxWindowsQuery,
} from "./flux_query.ts";
import { InfluxConnection } from "./influx_connection.ts";
import { garbageFault, statementFault } from "./influx_fault.ts";
import type { InfluxOptions } from "./influx_options.ts";
import { LatestCollector } from "./latest_collector.ts";
import { RangeRows } from "./range_rows.ts";
import type { RowSink } from "./stored_row.ts";

/**
 * Up to 200 devices cost about 2 ms each, from 400 on more than 4 (2.7.12, 9 fields each, a busy machine of 2 cores). A
 * read of all of them names none and costs about 0.7 ms each, nearly all of it `last()`; InfluxQL takes a seventh of it.
 */
const maxDevicesPerQuery = 200;

interface TableLayout {
  readonly table: FluxTableMetaData;
  readonly deviceIndex: number;
  readonly timeIndex: number;
  readonly fields: readonly FluxTableColumn[];
  readonly names: readonly string[];
}

const dialect = {
  header: true,
  delimiter: ",",
  quoteChar: '"',
  commentPrefix: "#",
  annotations: ["datatype", "group", "default"],
};

/** Before every table's own columns stand `result` and `table`, which a field may be called as well. */
const ownColumns = 2;

/** Empty strings are left out: Flux's CSV does not tell them from values that are not there. */
export function createFluxSource(
  options: InfluxOptions,
): TelemetrySource & Checkable & Disposable {
  const { bucketTemplate, measurement, deviceTag, metadataKeys } = options;
  const connection = new InfluxConnection(options);
  const path = `/api/v2/query?${new URLSearchParams({ org: options.org })}`;
  const ask = (query: string, { signal, sink }: { signal: AbortSignal; sink: RowSink }) =>
    connection.post(path, {
      body: bodyOf(query),
      contentType: "application/json",
      accept: "application/csv",
      signal,
      read: (chunks) => collect(chunks, { deviceTag, sink }),
    });
  return {
    async readLatest({ tenantId, deviceIds, signal }) {
      const bucket = bucketName(bucketTemplate, tenantId);
      const collector = new LatestCollector({ deviceIds, metadataKeys });
      const bounds = latestBounds(options);
      const chunks = deviceIds === "all"
        ? [deviceIds]
        : deviceChunks(deviceIds, maxDevicesPerQuery);
      for (const chunk of chunks) {
        const query = fluxLatestQuery({ bucket, measurement, deviceTag, deviceIds: chunk, bounds });
        await ask(query, { signal, sink: collector });
      }
      return collector;
    },
    async readRange(range) {
      const { tenantId, deviceIds, resolutionSeconds, order, signal } = range;
      const bucket = bucketName(bucketTemplate, tenantId);
      const collector = new RangeCollector(range);
      const bounds = rangeBounds(range, options);
      signal.throwIfAborted();
      if (bounds === null) return collector.result();
      const sink = new RangeRows(collector, metadataKeys);
      // One more than is wanted tells whether there are more.
      const cut = { order, limit: range.maxSamples + 1, offset: range.skipSamples ?? 0 };
      const common = { bucket, measurement, deviceTag, bounds, ...cut };
      for (const chunk of deviceChunks(deviceIds, maxDevicesPerQuery)) {
        const asked = { ...common, deviceIds: chunk };
        const query = resolutionSeconds === null
          ? fluxRangeQuery(asked)
          : fluxWindowsQuery({ ...asked, resolutionSeconds, metadataKeys });
        await ask(query, { signal, sink });
      }
      return collector.result();
    },
    async listDevices({ tenantId, limit, signal }) {
      const bucket = bucketName(bucketTemplate, tenantId);
      const bounds = latestBounds(options);
      const sink = new DeviceRows();
      const common = { bucket, measurement, deviceTag, bounds };
      await ask(fluxDevicesQuery({ ...common, limit: limit + 1 }), { signal, sink });
      return sink.result(limit);
    },
    check: (signal) =>
      connection.probe(path, {
        body: bodyOf("buckets() |> limit(n: 1)"),
        contentType: "application/json",
        accept: "application/csv",
        signal,
        read: throwReported,
      }),
    [Symbol.dispose]: () => connection[Symbol.dispose](),
  };
}

function bodyOf(query: string): string {
  return JSON.stringify({ query, type: "flux", dialect });
}

async function throwReported(chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const row of linesToRowsIterable(untilTheEnd(chunksToLinesIterable(chunks)))) {
    throwIfError(row);
  }
}

async function collect(
  chunks: AsyncIterable<Uint8Array>,
  { deviceTag, sink }: { readonly deviceTag: string; readonly sink: RowSink },
): Promise<void> {
  let layout: TableLayout | null = null;
  const lines = untilTheEnd(chunksToLinesIterable(chunks));
  for await (const { values, tableMeta } of linesToRowsIterable(lines)) {
    if (layout?.table !== tableMeta) layout = tableLayout(tableMeta, values, deviceTag);
    if (values.length !== tableMeta.columns.length) {
      throw garbageFault("a row doesn't fit its columns");
    }
    const { deviceIndex, timeIndex, fields, names } = layout;
    sink.add({
      deviceId: toText(values[deviceIndex] as string),
      storedAt: values[timeIndex] as string,
      names,
      values: fields.map(({ index, dataType }) => toValue(values[index] as string, dataType)),
    });
  }
}

function tableLayout(
  table: FluxTableMetaData,
  values: readonly string[],
  deviceTag: string,
): TableLayout {
  const { columns } = table;
  throwIfError({ values, tableMeta: table });
  const stored = columns.slice(ownColumns);
  const device = stored.find(({ label }) => label === deviceTag);
  const time = stored.find(({ label, dataType }) =>
    label === "_time" && dataType.startsWith("dateTime")
  );
  if (device === undefined || time === undefined) {
    throw garbageFault("a table has no device or no time");
  }
  const fields = stored.filter((column) => column !== device && column !== time);
  const names = fields.map(({ label }) => toText(label));
  return { table, deviceIndex: device.index, timeIndex: time.index, fields, names };
}

/** A query that fails after its answer began says so in a table of its own. */
function throwIfError(
  { values, tableMeta }: {
    readonly values: readonly string[];
    readonly tableMeta: FluxTableMetaData;
  },
): void {
  if (tableMeta.columns[0]?.label === "error") {
    throw statementFault(values[0] || "no reason given");
  }
}

/** Every answer ends in an empty line; one that doesn't was cut off where HTTP could not notice. */
async function* untilTheEnd(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let last: string | null = null;
  for await (const line of lines) {
    last = line;
    yield line;
  }
  if (last !== "") throw garbageFault("it ends early");
}

function toValue(text: string, dataType: FluxTableColumn["dataType"]): unknown {
  if (text === "") return null;
  switch (dataType) {
    case "boolean":
      return text === "true";
    case "double":
      return Number(text);
    case "long":
    case "unsignedLong":
      return Number.isSafeInteger(Number(text)) ? Number(text) : text;
    default:
      return toText(text);
  }
}

/** Flux writes each line feed of a string as a carriage return and a line feed, and drops carriage returns. */
function toText(text: string): string {
  return text.includes("\r\n") ? text.replaceAll("\r\n", "\n") : text;
}
