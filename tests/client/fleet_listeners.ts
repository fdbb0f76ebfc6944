// A client with listeners and loops on a model of the service, and what each of them must have been given in the end.
import assert from "node:assert/strict";
import type { DeviceSample } from "../../src/client/pulsewire_client.ts";
import { clientWorld, START_MS, type World } from "./client_fixture.ts";
import { ModelFleet } from "./model_fleet.ts";

export interface Wish {
  readonly deviceId: string;
  /** Null for what comes from now on. */
  readonly historySeconds: number | null;
  /** Of a loop, which takes when it is told to; null for a listener, which takes at once. */
  readonly bufferSize: number | null;
}

interface Listening {
  readonly wish: Wish;
  readonly given: DeviceSample[];
  /** What has a later timestamp is its due. */
  readonly from: string;
  readonly take: (atMost: number) => Promise<void>;
  readonly stop: () => void;
}

export class FleetListeners implements Disposable {
  readonly service: ModelFleet;
  readonly #world: World = clientWorld();
  readonly #listening: Listening[] = [];

  constructor() {
    const second = () => Math.floor((this.#world.clock.now() - START_MS) / 1_000);
    this.service = new ModelFleet({ second });
  }

  async connect(): Promise<void> {
    this.#world.client.connect();
    await this.#world.settle();
    for (let wait = 0; this.#world.socket().readyState !== 0; wait++) {
      assert.ok(wait < 60, "it did not come back");
      await this.#world.clock.advance(1_000);
    }
    this.service.accept(await this.#world.greet());
    await this.settle();
  }

  /** Lets the client say what it has to say, and the service take it. */
  async settle(): Promise<void> {
    await this.#world.settle();
    this.service.take();
    await this.#world.settle();
  }

  /** Time passes, in which the service reads its database. */
  async pass(ms: number): Promise<void> {
    await this.#world.clock.advance(ms);
    this.#world.socket().say({ type: "pong" });
    await this.settle();
    this.service.tick();
  }

  async cut(write: () => void, awayMs: number): Promise<void> {
    this.#world.socket().end(1006);
    write();
    await this.#world.clock.advance(awayMs);
    await this.connect();
  }

  async join(wish: Wish): Promise<void> {
    const listening = wish.bufferSize === null ? this.#listen(wish) : this.#loop(wish);
    const { historySeconds } = wish;
    // Without history its due begins when the service has taken it in.
    if (historySeconds === null) await this.flush();
    const ago = (historySeconds ?? 0) * 1_000;
    const begin = new Date(this.#world.clock.now() - ago + 1_000).toISOString();
    const { deviceIds } = this.service;
    const newest = deviceIds.flatMap((deviceId) => this.service.stored(deviceId))
      .map(({ timestamp }) => timestamp).sort().at(-1) ?? "";
    const from = historySeconds === null && newest > begin ? newest : begin;
    this.#listening.push({ wish, from, ...listening });
  }

  leave(pick: number): void {
    this.#listening.splice(pick % this.#listening.length, 1)[0]?.stop();
  }

  /** One of the loops takes so many. */
  async take(pick: number, atMost: number): Promise<void> {
    const loops = this.#listening.filter(({ wish }) => wish.bufferSize !== null);
    await loops[pick % loops.length]?.take(atMost);
  }

  /** All that is asked for is answered and sent. */
  async flush(): Promise<void> {
    for (let isMore = true; isMore;) {
      await this.settle();
      isMore = false;
      while (this.service.answer(0)) isMore = true;
      while (this.service.page(0, 1_000)) isMore = true;
      await this.settle();
    }
  }

  /** Each has been given all that is its due, once and in order. */
  async check(): Promise<void> {
    for (let round = 0; round < 25; round++) {
      await this.flush();
      for (const { take } of this.#listening) await take(1_000);
      await this.flush();
      this.service.tick();
      await this.settle();
    }
    for (const { take } of this.#listening) await take(1_000);
    for (const listening of this.#listening) this.#checkOne(listening);
  }

  [Symbol.dispose](): void {
    this.#world[Symbol.dispose]();
  }

  #checkOne({ wish, given, from }: Listening): void {
    const { deviceIds } = this.service;
    for (const deviceId of wish.deviceId === "*" ? deviceIds : [wish.deviceId]) {
      const stored = new Map(this.service.stored(deviceId).map((one) => [one.timestamp, one]));
      const own = given.filter(({ device_id }) => device_id === deviceId);
      const timestamps = own.map(({ timestamp }) => timestamp);
      const told = `${JSON.stringify(wish)} of ${deviceId}`;
      assert.equal(
        new Set(timestamps).size,
        timestamps.length,
        `a sample was given twice: ${told}`,
      );
      for (const { timestamp, metrics } of own) {
        assert.deepEqual(
          metrics,
          { n: stored.get(timestamp)?.n },
          `a sample is not whole: ${told}`,
        );
      }
      const due = [...stored.values()].filter(({ timestamp }) => timestamp > from);
      const missing = due.filter(({ timestamp }) => !timestamps.includes(timestamp));
      assert.deepEqual(missing, [], `a sample was not given: ${told}`);
      const onTime = timestamps.filter((one) => one > from && stored.get(one)?.isLate === false);
      assert.deepEqual(onTime, onTime.toSorted(), `samples were given out of order: ${told}`);
    }
  }

  #listen({ deviceId, historySeconds }: Wish) {
    const given: DeviceSample[] = [];
    const options = historySeconds === null ? {} : { historySeconds };
    const stop = this.#world.client.device(deviceId, { mode: "every", ...options }, (sample) => {
      given.push(sample);
    });
    return { given, stop, take: () => Promise.resolve() };
  }

  #loop({ deviceId, historySeconds, bufferSize }: Wish) {
    const given: DeviceSample[] = [];
    const samples = this.#world.client.samples(deviceId, {
      mode: "every",
      ...(historySeconds === null ? {} : { historySeconds }),
      ...(bufferSize === null ? {} : { bufferSize }),
    });
    let isWaiting = false;
    const next = async () => {
      isWaiting = true;
      const { value } = await samples.next();
      isWaiting = false;
      if (value !== undefined) given.push(value);
    };
    const take = async (atMost: number) => {
      for (let n = 0; n < atMost && !isWaiting; n++) {
        void next();
        await this.#world.settle();
      }
    };
    return { given, take, stop: () => void samples.return?.() };
  }
}
