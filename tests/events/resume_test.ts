// A client of an event stream that is cut off again and again, on a real InfluxDB that is written to all the while: it
// comes back with nothing but the last id, as an EventSource does, and in the end it has what the database has.
import assert from "node:assert/strict";
import { instantOfMs } from "../../src/protocol/nano_instant.ts";
import { openSources } from "../../src/sources/open_sources.ts";
import { systemClock as clock } from "../../src/clock.ts";
import { lineProtocol } from "../sources/influx/line_protocol.ts";
import { findInfluxd, openInfluxd, type TestInfluxd } from "../support/influxd.ts";
import type { Message } from "../support/client.ts";
import { startService, type TestService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { pause, until } from "../support/until.ts";
import { EventClient } from "./event_client.ts";
import { eventsUrl } from "./feed_transport.ts";

const BUCKET = "telemetry_acme";
const DEVICES = ["dev-1", "dev-2", "rare"];
const CUTS = 25;

interface Written {
  readonly deviceId: string;
  readonly timestamp: string;
  readonly n: number;
}

/** Writes numbered samples, of one device seldom, and keeps what was acknowledged. */
class Writer {
  readonly written: Written[] = [];
  readonly #influxd: TestInfluxd;
  #isStopped = false;
  #finished: Promise<void> = Promise.resolve();

  constructor(influxd: TestInfluxd) {
    this.#influxd = influxd;
  }

  start(): void {
    this.#finished = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#finished;
  }

  async #run(): Promise<void> {
    for (let n = 1; !this.#isStopped; n++) {
      await this.write(n % 20 === 0 ? DEVICES : DEVICES.slice(0, 2), n);
      await pause(10);
    }
  }

  async write(deviceIds: readonly string[], n: number): Promise<void> {
    const timestamp = instantOfMs(Date.now());
    const points = deviceIds.map((deviceId) => ({ deviceId, timestamp, metrics: { n } }));
    await this.#influxd.write(BUCKET, lineProtocol(points));
    this.written.push(...deviceIds.map((deviceId) => ({ deviceId, timestamp, n })));
  }
}

async function startOn(influxd: TestInfluxd, settings = {}): Promise<TestService> {
  return await startService({
    sources: (config, log) => openSources(config, { clock, log }),
    settings: { INFLUXDB_URL: influxd.url, WS_POLL_SECONDS: "0.1", LATE_SECONDS: "1", ...settings },
  });
}

/** What a stream brought of samples, as `device timestamp`. */
function keysOf(messages: readonly Message[]): readonly string[] {
  return messages.flatMap(({ type, device_id, samples, data }) =>
    type === "history"
      ? samples.map(({ timestamp }: Message) => `${device_id} ${timestamp}`)
      : type === "telemetry"
      ? [`${device_id} ${data.timestamp}`]
      : []
  );
}

async function comeBack(service: TestService, lastEventId: string, asked = {}) {
  const headers: Record<string, string> = { authorization: `Bearer ${await signToken()}` };
  if (lastEventId !== "") headers["last-event-id"] = lastEventId;
  return await EventClient.open(
    eventsUrl(service, { device_id: DEVICES, mode: "every", ...asked }),
    { headers },
  );
}

for (const engine of ["ws", "deno"]) {
  Deno.test({
    name: `A client that is cut off ${CUTS} times misses no sample (engine ${engine})`,
    ignore: findInfluxd() === null,
    async fn() {
      await using influxd = await openInfluxd();
      await influxd.createDatabase(BUCKET);
      await using service = await startOn(influxd, { WS_ENGINE: engine });
      const got = new Set<string>();
      let lastEventId = "";
      const keep = async (client: EventClient) => {
        await client.leave();
        for (const key of keysOf(client.messages)) got.add(key);
        if (client.lastEventId !== "") lastEventId = client.lastEventId;
      };

      // What is stored already is not sent in mode every; where to come back to is told all the same.
      const writer = new Writer(influxd);
      await writer.write(DEVICES, 0);
      const skipped = writer.written.length;
      const first = await comeBack(service, "");
      await until(() => first.lastEventId !== "", { withinMs: 15_000, what: "A first id" });
      assert.deepEqual(keysOf(first.messages), []);
      await keep(first);

      writer.start();
      let resumed = 0;
      for (let cut = 0; cut < CUTS; cut++) {
        const client = await comeBack(service, lastEventId);
        // Cut off in history as well as live, and sometimes before anything came.
        const enough = [0, 1, 5, 60][cut % 4] ?? 0;
        await until(() => keysOf(client.messages).length >= enough, { withinMs: 20_000 });
        if (client.messages.some(({ type }) => type === "history")) resumed++;
        await keep(client);
        await pause((cut % 3) * 60);
      }
      await writer.stop();

      const last = await comeBack(service, lastEventId);
      const missing = () => {
        const now = new Set([...got, ...keysOf(last.messages)]);
        return writer.written.slice(skipped)
          .map(({ deviceId, timestamp }) => `${deviceId} ${timestamp}`)
          .filter((key) => !now.has(key));
      };
      await until(() => missing().length === 0, { withinMs: 20_000, what: "Every sample" })
        .catch(() => {});
      assert.deepEqual(missing(), []);
      await keep(last);
      const written = new Set(
        writer.written.map(({ deviceId, timestamp }) => `${deviceId} ${timestamp}`),
      );
      assert.deepEqual([...got].filter((key) => !written.has(key)), []);
      assert(resumed > 0, "No stream was resumed from history");
    },
  });
}

Deno.test({
  name:
    "A client comes back to another instance, and says where it was in the query where it can't in a header",
  ignore: findInfluxd() === null,
  async fn() {
    await using influxd = await openInfluxd();
    await influxd.createDatabase(BUCKET);
    const writer = { written: [] as Written[] };
    const write = async (n: number) => {
      const timestamp = instantOfMs(Date.now());
      await influxd.write(BUCKET, lineProtocol([{ deviceId: "dev-1", timestamp, metrics: { n } }]));
      writer.written.push({ deviceId: "dev-1", timestamp, n });
      await pause(2);
    };
    await write(0);
    let lastEventId: string;
    {
      await using service = await startOn(influxd);
      const client = await comeBack(service, "");
      await until(() => client.lastEventId !== "", { withinMs: 15_000 });
      await write(1);
      await client.next(({ data }) => data?.metrics.n === 1);
      await until(() => client.lastEventId !== "");
      lastEventId = client.lastEventId;
      await client.leave();
    }
    for (let n = 2; n < 30; n++) await write(n);
    await using service = await startOn(influxd);
    const url = eventsUrl(service, { device_id: DEVICES, mode: "every" });
    const query = new URLSearchParams({ last_event_id: lastEventId, token: await signToken() });
    await using client = await EventClient.open(`${url}&${query}`);
    const subscribed = await client.next(({ type }) => type === "subscribed");
    assert.deepEqual(subscribed.resume["dev-1"], { from: lastEventId, complete: true });
    await client.next(({ type, device_id, done }) =>
      type === "history" && device_id === "dev-1" && done
    );
    const got = client.messages.flatMap(({ type, samples = [] }) =>
      type === "history" ? samples.map(({ metrics }: Message) => metrics.n) : []
    );
    assert.deepEqual(got.slice(-28), Array.from({ length: 28 }, (_, index) => index + 2));
  },
});

Deno.test({
  name:
    "An id that is older than history goes back is answered with what there is, and that it is not all",
  ignore: findInfluxd() === null,
  async fn() {
    await using influxd = await openInfluxd();
    await influxd.createDatabase(BUCKET);
    await using service = await startOn(influxd);
    await using client = await comeBack(service, instantOfMs(Date.now() - 40 * 86_400_000));
    const { resume } = await client.next(({ type }) => type === "subscribed");
    assert.equal(resume["dev-1"].complete, false);
    assert.equal(resume["dev-1"].reason, "too_old");
  },
});
