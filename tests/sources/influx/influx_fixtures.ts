// Opens telemetry fixtures on real InfluxDBs; every bucket or server that it makes must be gone when it is disposed.
import { systemClock } from "../../../src/clock.ts";
import { createFluxSource } from "../../../src/sources/influx/flux_source.ts";
import type { InfluxOptions } from "../../../src/sources/influx/influx_options.ts";
import { createInfluxqlSource } from "../../../src/sources/influx/influxql_source.ts";
import { openInfluxd } from "../../support/influxd.ts";
import type { TelemetryFixture, TelemetrySourceOptions } from "../telemetry_fixture.ts";
import { lineProtocol } from "./line_protocol.ts";

export type Language = "influxql" | "flux";

export const createSource = { influxql: createInfluxqlSource, flux: createFluxSource } as const;

export interface Influxdb2 {
  readonly url: string;
  readonly token: string;
  readonly org: string;
}

/** The InfluxDB 2.x that the environment names, or null. */
export function findInfluxdb2(): Influxdb2 | null {
  const [url, token, org] = ["URL", "TOKEN", "ORG"].map((name) =>
    Deno.env.get(`INFLUXDB2_${name}`)
  );
  return url && token && org ? { url, token, org } : null;
}

export function influxOptions(options: Partial<InfluxOptions> = {}): InfluxOptions {
  return {
    url: "http://127.0.0.1:1",
    org: "",
    auth: { kind: "none" },
    bucketTemplate: "telemetry_{tenant}",
    measurement: "telemetry",
    deviceTag: "device_id",
    lookbackMs: 6 * 3_600_000,
    futureMs: 60_000,
    metadataKeys: ["time", "device_id", "site_id", "seq"],
    clock: systemClock,
    ...options,
  };
}

/** A 1.x server of its own. */
export async function openInfluxd1Fixture(): Promise<TelemetryFixture> {
  const server = await openInfluxd();
  const databases = new Set<string>();
  return {
    precision: 9,
    unknownTenant: "missing",
    source: (options: TelemetrySourceOptions = {}) =>
      createInfluxqlSource(influxOptions({ url: server.url, ...options })),
    async write(tenantId, points) {
      const database = `telemetry_${tenantId}`;
      if (!databases.has(database)) await server.createDatabase(database);
      databases.add(database);
      if (points.length > 0) await server.write(database, lineProtocol(points));
    },
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

/** Buckets of its own on a 2.x server that others use too. */
export async function openInfluxdb2Fixture(
  server: Influxdb2,
  language: Language,
): Promise<TelemetryFixture> {
  const prefix = `pulsewire_test_${crypto.randomUUID().slice(0, 8)}`;
  const buckets = new Map<string, string>();
  const call = async (method: string, path: string, body?: string): Promise<string> => {
    const headers = { authorization: `Token ${server.token}` };
    const response = await fetch(`${server.url}${path}`, { method, headers, body: body ?? null });
    const answer = await response.text();
    if (!response.ok) throw new Error(`Cannot ${method} ${path}: ${response.status} ${answer}`);
    return answer;
  };
  const { orgs } = JSON.parse(
    await call("GET", `/api/v2/orgs?${new URLSearchParams({ org: server.org })}`),
  );
  return {
    precision: 9,
    unknownTenant: "missing",
    source: (options: TelemetrySourceOptions = {}) =>
      createSource[language](influxOptions({
        url: server.url,
        org: server.org,
        auth: { kind: "token", token: server.token },
        bucketTemplate: `${prefix}_{tenant}`,
        ...options,
      })),
    async write(tenantId, points) {
      const name = `${prefix}_${tenantId}`;
      if (!buckets.has(name)) {
        const body = JSON.stringify({ orgID: orgs[0].id, name, retentionRules: [] });
        buckets.set(name, JSON.parse(await call("POST", "/api/v2/buckets", body)).id);
      }
      const query = new URLSearchParams({ org: server.org, bucket: name, precision: "ns" });
      if (points.length > 0) await call("POST", `/api/v2/write?${query}`, lineProtocol(points));
    },
    async [Symbol.asyncDispose]() {
      const ids = [...buckets.values()];
      buckets.clear();
      await Promise.all(ids.map((id) => call("DELETE", `/api/v2/buckets/${id}`)));
    },
  };
}
