// Numbered samples in an InfluxDB: a 1.x of the test's own, or a bucket on a 2.x that others use too, which it must leave
// as it was. Both take the same writes and answer the same InfluxQL.
import { parseNanoInstant } from "../../src/protocol/nano_instant.ts";
import type { Influxdb2, Language } from "../sources/influx/influx_fixtures.ts";
import { lineProtocol } from "../sources/influx/line_protocol.ts";
import { openInfluxd } from "../support/influxd.ts";
import type { NumberedSample } from "./numbered_sample.ts";
import { type SampleStore, type StoppableServer, TENANT } from "./sample_store.ts";

interface Place {
  readonly url: string;
  readonly bucket: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly settings: Readonly<Record<string, string>>;
  readonly server: StoppableServer | null;
  readonly dispose: () => Promise<void>;
}

interface QueryAnswer {
  readonly results: ReadonlyArray<{
    readonly error?: string;
    readonly series?: ReadonlyArray<{
      readonly tags: { readonly device_id: string };
      readonly values: ReadonlyArray<readonly [time: string, n: number]>;
    }>;
  }>;
}

export class InfluxStore implements SampleStore {
  readonly precision = 9;
  readonly #place: Place;

  static async openInfluxd(): Promise<InfluxStore> {
    const influxd = await openInfluxd();
    const bucket = `telemetry_${TENANT}`;
    await influxd.createDatabase(bucket);
    return new InfluxStore({
      url: influxd.url,
      bucket,
      headers: {},
      settings: { INFLUXDB_URL: influxd.url },
      server: { kill: () => influxd.kill(), start: () => influxd.restart() },
      dispose: () => influxd.stop(),
    });
  }

  static async openBucket(server: Influxdb2, language: Language): Promise<InfluxStore> {
    const { url, token, org } = server;
    const prefix = `pulsewire_loss_${crypto.randomUUID().slice(0, 8)}`;
    const bucket = `${prefix}_${TENANT}`;
    const headers = { authorization: `Token ${token}` };
    const found = await call(`${url}/api/v2/orgs?${new URLSearchParams({ org })}`, { headers });
    const orgID = JSON.parse(found).orgs[0].id;
    const body = JSON.stringify({ orgID, name: bucket, retentionRules: [] });
    const made = await call(`${url}/api/v2/buckets`, { method: "POST", headers, body });
    const { id } = JSON.parse(made);
    return new InfluxStore({
      url,
      bucket,
      headers,
      settings: {
        INFLUXDB_URL: url,
        INFLUXDB_TOKEN: token,
        INFLUXDB_ORG: org,
        INFLUXDB_BUCKET: `${prefix}_{tenant}`,
        INFLUXDB_QUERY: language,
      },
      server: null,
      dispose: async () =>
        void await call(`${url}/api/v2/buckets/${id}`, { method: "DELETE", headers }),
    });
  }

  private constructor(place: Place) {
    this.#place = place;
  }

  get settings(): Readonly<Record<string, string>> {
    return this.#place.settings;
  }

  get server(): StoppableServer | null {
    return this.#place.server;
  }

  async write(samples: readonly NumberedSample[]): Promise<void> {
    const { url, bucket, headers } = this.#place;
    const target = new URLSearchParams({ db: bucket, precision: "ns" });
    const body = lineProtocol(
      samples.map(({ n, ...sample }) => ({ ...sample, metrics: { n } })),
    );
    await call(`${url}/write?${target}`, { method: "POST", headers, body });
  }

  async readAll(): Promise<readonly NumberedSample[]> {
    const { url, bucket, headers } = this.#place;
    const body = new URLSearchParams({
      db: bucket,
      q: "SELECT n FROM telemetry GROUP BY device_id",
    });
    const answer: QueryAnswer = JSON.parse(
      await call(`${url}/query`, { method: "POST", headers, body }),
    );
    const [result] = answer.results;
    if (result?.error !== undefined) throw new Error(`Cannot read ${bucket}: ${result.error}`);
    return (result?.series ?? []).flatMap(({ tags, values }) =>
      values.map(([time, n]) => {
        const timestamp = parseNanoInstant(time);
        if (timestamp === null) throw new Error(`Cannot read the time ${time}: it is no instant`);
        return { deviceId: tags.device_id, timestamp, n };
      })
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#place.dispose();
  }
}

async function call(url: string, request: RequestInit): Promise<string> {
  const response = await fetch(url, request);
  const answer = await response.text();
  if (!response.ok) {
    const { method = "GET" } = request;
    throw new Error(`Cannot ${method} ${new URL(url).pathname}: ${response.status} ${answer}`);
  }
  return answer;
}
