// A database in memory that is written, a feed that reads it at ticks, and clients that catch up with it: everything
// takes time, and all of it is a fake clock's.
import { delay } from "../../src/clock.ts";
import { catchUp, type CatchUpDeps } from "../../src/connections/catch_up.ts";
import { EveryFollow } from "../../src/connections/every_follow.ts";
import { type HistoryPart, historyParts } from "../../src/connections/history_parts.ts";
import { FollowedDevice } from "../../src/connections/followed_device.ts";
import { HistoryError } from "../../src/feed/history_error.ts";
import type { Histories, HistoryPage, HistoryQuestion } from "../../src/feed/seam.ts";
import { type Frame, frameOf } from "../../src/protocol/frame.ts";
import { instantOfMs, instantOfNanos } from "../../src/protocol/nano_instant.ts";
import type { Sample } from "../../src/protocol/server_messages.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { memoryLog } from "../support/memory_log.ts";

export const LATE_MS = 10_000;
export const FUTURE_MS = 60_000;
export const DEVICES = ["dev-1", "dev-2"] as const;

export interface WorldOptions {
  readonly pollMs: number;
  /** From a read's start to the moment that it sees, and from there to its answer. */
  readonly feedReadMs: number;
  readonly historyReadMs: number;
  /** Most samples of a device in a page. */
  readonly pageSamples: number;
}

interface Track {
  readonly seen: Set<string>;
  cursor: string | null;
  floor: string;
  number: number;
}

export class World {
  readonly clock = fakeClock();
  readonly log = memoryLog();
  readonly clients: Client[] = [];
  readonly #options: WorldOptions;
  readonly #stored = new Map<string, string[]>();
  readonly #tracks = new Map<string, Track>();
  /** The newest sample that the feed's reads have come across. */
  readonly #noticed = new Map<string, string>();
  readonly #devices = new Map<string, FollowedDevice>();
  readonly #end = new AbortController();
  #written = 0;
  /** Whether questions fail; a number makes that many fail in part. */
  isDown = false;
  partialFaults = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    for (const deviceId of DEVICES) {
      this.#stored.set(deviceId, []);
      const device = new FollowedDevice(deviceId);
      this.#devices.set(deviceId, device);
    }
  }

  get deps(): CatchUpDeps {
    return {
      histories: this.#histories(),
      clock: this.clock,
      random: () => 0.5,
      log: this.log,
      historyMs: 90_000_000,
      lateMs: LATE_MS,
      futureMs: FUTURE_MS,
    };
  }

  stored(deviceId: string): readonly string[] {
    return this.#stored.get(deviceId) ?? [];
  }

  device(deviceId: string): FollowedDevice {
    const device = this.#devices.get(deviceId);
    if (device === undefined) throw new Error(`No device ${deviceId}`);
    return device;
  }

  /** Stores a sample of this instant in milliseconds; none has the timestamp of another. */
  write(deviceId: string, atMs: number): string {
    const timestamp = instantOfNanos(
      BigInt(Math.floor(atMs)) * 1_000_000n + BigInt(++this.#written),
    );
    this.#stored.get(deviceId)?.push(timestamp);
    return timestamp;
  }

  /** The oldest instant, in milliseconds, of a late sample that the feed still looks for. */
  oldestLate(deviceId: string): number {
    const noticed = this.#noticed.get(deviceId);
    const now = this.clock.now();
    const floor = this.#tracks.get(deviceId)?.floor;
    return Math.max(
      Math.min(noticed === undefined ? now : msOf(noticed), now) - LATE_MS,
      floor === undefined ? 0 : msOf(floor),
    ) + 1;
  }

  /** Lets the feed tick until the world ends. */
  async feed(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      for (const deviceId of DEVICES) await this.#tick(deviceId, signal);
      for (const client of this.clients) client.push();
      await delay(this.clock, this.#options.pollMs, signal);
    }
  }

  join(options: ClientOptions): Client {
    const client = new Client(this, options);
    this.clients.push(client);
    return client;
  }

  /** Lets time pass until every client has what was written, or long enough for it. */
  async settle(): Promise<void> {
    // What is ahead of the clock is read at once; what failed is asked for again within half a minute.
    for (let second = 0; second < 1_000; second += 10) {
      await this.clock.advance(10_000);
      if (this.clients.every((client) => client.isSettled)) return;
    }
  }

  end(): void {
    for (const client of this.clients) client.leave();
    this.#end.abort();
  }

  async #tick(deviceId: string, signal: AbortSignal): Promise<void> {
    if (this.clients.length === 0) return;
    const startedAt = instantOfMs(this.clock.now());
    await delay(this.clock, this.#options.feedReadMs, signal);
    const until = instantOfMs(this.clock.now() + FUTURE_MS);
    const found = this.stored(deviceId).filter((timestamp) => timestamp <= until).sort();
    const newest = found.at(-1) ?? null;
    if (newest !== null) this.#noticed.set(deviceId, newest);
    await delay(this.clock, this.#options.feedReadMs, signal);
    if (signal.aborted) return;
    const track = this.#tracks.get(deviceId);
    const fresh = track === undefined
      ? []
      : found.filter((timestamp) => timestamp > track.floor && !track.seen.has(timestamp));
    const cursor = newest !== null && newest > (track?.cursor ?? "")
      ? newest
      : track?.cursor ?? null;
    const least = minus(cursor !== null && cursor < startedAt ? cursor : startedAt, LATE_MS);
    const floor = track === undefined || least > track.floor ? least : track.floor;
    const seen = new Set(found.filter((timestamp) => timestamp > floor));
    const isBatch = track === undefined || fresh.length > 0;
    const number = (track?.number ?? 0) + (isBatch ? 1 : 0);
    this.#tracks.set(deviceId, { cursor, floor, seen, number });
    if (!isBatch) return;
    const readAt = this.clock.now();
    const samples = fresh.map((timestamp) => ({
      sample: sampleOf(timestamp),
      frame: telemetry(deviceId, sampleOf(timestamp)),
      readAt,
    }));
    this.device(deviceId).deliver({ deviceId, number, readAt, samples, floor });
  }

  #histories(): Histories {
    const page = async ({ after, signal }: HistoryQuestion) => {
      const readAt = this.clock.now();
      await delay(this.clock, this.#options.historyReadMs, signal);
      signal.throwIfAborted();
      if (this.isDown) {
        throw new HistoryError("The source can't be read now", { retryAfterMs: 500 });
      }
      const pages = new Map<string, HistoryPage>();
      const until = instantOfMs(this.clock.now() + FUTURE_MS);
      for (const [deviceId, instant] of after) {
        if (after.size > 1 && this.partialFaults > 0 && this.partialFaults-- > 0) continue;
        const found = this.stored(deviceId)
          .filter((timestamp) => timestamp > instant && timestamp <= until).sort();
        const samples = found.slice(0, this.#options.pageSamples).map(sampleOf);
        pages.set(deviceId, { samples, isLast: samples.length === found.length, readAt });
      }
      await delay(this.clock, this.#options.historyReadMs, signal);
      signal.throwIfAborted();
      return pages;
    };
    return {
      page,
      earliest: () => Promise.resolve(new Map()),
      alerts: () => Promise.reject(new Error("Nobody asks for alerts here")),
    };
  }
}

export interface ClientOptions {
  /** Null for one that follows from now on. */
  readonly after: string | null;
}

/** A connection that follows every sample of the devices. */
export class Client {
  readonly after: string | null;
  /** Timestamps of each device in the order in which they came. */
  readonly received = new Map<string, string[]>();
  /** Samples of each device that were stored before the client followed its batches. */
  readonly #before = new Map<string, ReadonlySet<string>>();
  readonly #world: World;
  readonly #follows = new Map<string, EveryFollow>();
  readonly #held = new Set<string>();
  readonly #life = new AbortController();
  #fullUntil = 0;

  constructor(world: World, { after }: ClientOptions) {
    this.after = after;
    this.#world = world;
    for (const deviceId of DEVICES) {
      const device = world.device(deviceId);
      device.followEvery();
      this.received.set(deviceId, []);
      this.#follows.set(deviceId, new EveryFollow(device, 0));
      if (device.batchNumber > 0) this.#begin(deviceId);
    }
    if (after === null) return;
    void this.#catchUp("resume", DEVICES.map((deviceId) => ({ deviceId, after })));
  }

  /** Whether it is live and its socket takes what comes. */
  get isSettled(): boolean {
    return this.#held.size === 0 && this.#world.clock.now() > this.#fullUntil + 12_000;
  }

  /** Whether the sample was stored when the client followed the device already. */
  isOwed(deviceId: string, timestamp: string): boolean {
    return this.#before.get(deviceId)?.has(timestamp) === false;
  }

  /** Its socket takes nothing for so long. */
  block(ms: number): void {
    this.#fullUntil = this.#world.clock.now() + ms;
  }

  leave(): void {
    this.#life.abort();
    for (const deviceId of DEVICES) this.#world.device(deviceId).unfollowEvery();
  }

  /** One look at what is due. */
  push(): void {
    if (this.#life.signal.aborted) return;
    for (const [deviceId, follow] of this.#follows) {
      if (this.#world.device(deviceId).batchNumber > 0) this.#begin(deviceId);
      if (this.#held.has(deviceId)) continue;
      const due = follow.due();
      if (due === null) {
        const after = follow.cursor ?? instantOfMs(this.#world.clock.now());
        void this.#catchUp("lag", [{ deviceId, after }]);
      } else if (due.length > 0 && this.#world.clock.now() >= this.#fullUntil) {
        this.#receive(due.map(({ frame }) => frame));
        follow.sent();
      }
    }
  }

  #begin(deviceId: string): void {
    if (this.#before.has(deviceId)) return;
    this.#before.set(deviceId, new Set(this.#world.stored(deviceId)));
  }

  async #catchUp(
    kind: "resume" | "lag",
    devices: readonly { readonly deviceId: string; readonly after: string }[],
  ): Promise<void> {
    const { clock } = this.#world;
    const { signal } = this.#life;
    for (const { deviceId } of devices) this.#held.add(deviceId);
    await catchUp({
      tenantId: "acme",
      devices: devices.map((device) => ({
        ...device,
        follow: this.#follows.get(device.deviceId) ?? null,
      })),
      resolutionSeconds: null,
      kind,
      frames: { parts: historyParts, history, telemetry },
      send: async (frames) => {
        this.#receive(frames);
        await delay(clock, Math.max(0, this.#fullUntil - clock.now()), signal);
      },
      isWanted: () => true,
      answered: () => {},
      joined: (deviceId) => {
        this.#held.delete(deviceId);
        this.push();
      },
      signal,
    }, this.#world.deps);
  }

  #receive(frames: readonly Frame[]): void {
    for (const { message } of frames) {
      if (message.type === "telemetry") {
        this.received.get(message.device_id)?.push(message.data.timestamp);
      } else if (message.type === "history") {
        this.received.get(message.device_id)?.push(
          ...message.samples.map(({ timestamp }) => timestamp),
        );
      }
    }
  }
}

export function sampleOf(timestamp: string): Sample {
  return { timestamp, metrics: { v: 1 } };
}

export function history(
  deviceId: string,
  { page, start, end }: HistoryPart,
  { isDone }: { readonly isDone: boolean },
): Frame {
  const samples = page.slice(start, end);
  return frameOf({ type: "history", device_id: deviceId, samples, done: isDone });
}

export function telemetry(deviceId: string, data: Sample): Frame {
  return frameOf({ type: "telemetry", device_id: deviceId, data });
}

function minus(instant: string, ms: number): string {
  const at = msOf(instant) - ms;
  return `${new Date(at).toISOString().slice(0, 23)}${instant.slice(23)}`;
}

function msOf(instant: string): number {
  return Date.parse(`${instant.slice(0, 23)}Z`);
}
