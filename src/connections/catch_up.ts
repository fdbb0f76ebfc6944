// Brings devices from an instant in the past to the present: pages of history, as fast as the client takes them, then
// the batches of the feed. It must leave out no stored sample and send none twice, whatever is written meanwhile.
import { type Clock, delay } from "../clock.ts";
import { HistoryError } from "../feed/history_error.ts";
import type { Histories, HistoryPage, HistoryQuestion } from "../feed/seam.ts";
import type { Log } from "../observe/log.ts";
import type { Frame } from "../protocol/frame.ts";
import { instantOfMs, instantOfNanos, nanosOf } from "../protocol/nano_instant.ts";
import type { Resume, Sample } from "../protocol/server_messages.ts";
import { DeviceCatchUp } from "./device_catch_up.ts";
import { deliverPages } from "./deliver_pages.ts";
import type { EveryFollow } from "./every_follow.ts";
import type { HistoryPart, SizedPart } from "./history_parts.ts";

export interface CatchUpDevice {
  readonly deviceId: string;
  /** Instant with nine digits. One that lags goes on from where its `follow` is, wherever that is known. */
  readonly after: string;
  /** Null in mode `latest`. */
  readonly follow: EveryFollow | null;
}

export interface CatchUpRequest {
  readonly tenantId: string;
  readonly devices: readonly CatchUpDevice[];
  readonly resolutionSeconds: number | null;
  /** `resume`: pages are `history` messages and `answered` is called once; `lag`: each sample is a `telemetry` message. */
  readonly kind: "resume" | "lag";
  /** Makes the messages as this client asked for them. */
  readonly frames: {
    /** What the samples are cut into; of none one empty part. */
    parts(samples: readonly Sample[]): readonly SizedPart[];
    history(
      deviceId: string,
      part: HistoryPart,
      options: { readonly isDone: boolean; readonly readAt: number },
    ): Frame;
    telemetry(deviceId: string, sample: Sample, readAt: number): Frame | null;
  };
  /** Sends when the socket can take it, leaves out what is not wanted any more then, and resolves; or the signal aborts. */
  readonly send: (frames: readonly Frame[]) => Promise<void>;
  /** Whether the device is still subscribed as it was when this began. */
  readonly isWanted: (deviceId: string) => boolean;
  /** Called once, before the first page. */
  readonly answered: (resumes: ReadonlyMap<string, Resume>) => void;
  /** The device's pushes may begin; `last` is the greatest timestamp of its samples that were sent, or null. */
  readonly joined: (deviceId: string, last: string | null) => void;
  /** Aborts when none of it is wanted any more. */
  readonly signal: AbortSignal;
}

export interface CatchUpDeps {
  readonly histories: Histories;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly historyMs: number;
  readonly lateMs: number;
  readonly futureMs: number;
}

/** Devices that are asked for at once: it bounds what an answer holds in memory. */
const MAX_DEVICES = 500;
const RETRY_BASE_MS = 1_000;
/** With up to half as much again by chance: 30 seconds at most. */
const RETRY_MAX_MS = 20_000;
/** How long the answer waits for the feed's first read of a device, which spares a read of its history. */
const FIRST_READ_MS = 250;
const FIRST_READ_LOOK_MS = 10;
/** Time that may pass between a client's asking and this. */
const ASKED_MS = 1_000;
/** How often is looked whether the feed has read a device at last. */
const LOOK_MS = 500;

/**
 * Resolves when each device has joined the present or is not wanted any more, or the signal aborts. A source that can't
 * be read is asked again until it can; rejects with faults of our own only.
 */
export async function catchUp(request: CatchUpRequest, deps: CatchUpDeps): Promise<void> {
  try {
    await new CatchUp(request, deps).run();
  } catch (error) {
    // Whoever left is no fault.
    if (!request.signal.aborted) throw error;
  }
}

class CatchUp {
  readonly #request: CatchUpRequest;
  readonly #deps: CatchUpDeps;
  readonly #bounds: Bounds;
  readonly #devices = new Set<DeviceCatchUp>();

  constructor(request: CatchUpRequest, deps: CatchUpDeps) {
    this.#request = request;
    this.#deps = deps;
    this.#bounds = boundsOf(deps);
    for (const device of request.devices) {
      this.#devices.add(request.kind === "lag" ? this.#lagging(device) : this.#resuming(device));
    }
  }

  async run(): Promise<void> {
    const { signal, kind } = this.#request;
    if (kind === "resume") await this.#open();
    while (!signal.aborted) {
      const wanted = this.#wanted();
      if (wanted.length === 0) return;
      const now = this.#deps.clock.monotonicNow();
      const ready = wanted.filter((device) => device.isReady && device.notBefore <= now);
      if (ready.length === 0) {
        const waits = wanted.map(({ isReady, notBefore }) => isReady ? notBefore - now : LOOK_MS);
        await delay(this.#deps.clock, Math.min(...waits), signal);
      } else {
        await this.#deliver(await this.#read(ready.slice(0, MAX_DEVICES)));
      }
    }
  }

  /** Asks for the first pages, so that the answer can say where each device starts, and answers. */
  async #open(): Promise<void> {
    const { signal, answered } = this.#request;
    await this.#firstReads();
    const devices = this.#wanted();
    let pages: ReadonlyMap<DeviceCatchUp, HistoryPage> = new Map();
    for (let start = 0; start < devices.length && !signal.aborted; start += MAX_DEVICES) {
      const chunk = devices.slice(start, start + MAX_DEVICES);
      const read = await this.#read(chunk);
      // Of more devices than are sent at once only the answer needs to know; their pages are asked for again.
      if (start === 0) pages = read;
      if (chunk.every(({ failures }) => failures > 0)) break;
    }
    if (signal.aborted) return;
    const unread = devices.filter(({ isMeasured }) => !isMeasured);
    for (const device of unread) {
      device.resume = { from: device.resume.from, complete: false, reason: "source_unavailable" };
    }
    answered(new Map(devices.map(({ deviceId, resume }) => [deviceId, resume])));
    await this.#deliver(pages);
  }

  /** Waits a little for the feed's first read of the devices. */
  async #firstReads(): Promise<void> {
    const { clock } = this.#deps;
    const { signal } = this.#request;
    const until = clock.monotonicNow() + FIRST_READ_MS;
    while (
      !signal.aborted && clock.monotonicNow() < until &&
      this.#wanted().some(({ isReady }) => !isReady)
    ) {
      await delay(clock, FIRST_READ_LOOK_MS, signal);
    }
  }

  /** Reads the next page of each device; those that can't be read now wait. */
  async #read(
    devices: readonly DeviceCatchUp[],
  ): Promise<ReadonlyMap<DeviceCatchUp, HistoryPage>> {
    const { histories } = this.#deps;
    const read = new Map<DeviceCatchUp, HistoryPage>();
    const ready = new Set(devices.filter((device) => device.begin()));
    const pages = await this.#ask(devices, (question) => histories.page(question));
    if (pages === null) return read;
    const unread = devices.filter(({ deviceId }) => !pages.has(deviceId));
    if (unread.length > 0) this.#wait(unread, RETRY_BASE_MS);
    const long = devices.filter(({ deviceId, isMeasured }) =>
      !isMeasured && pages.get(deviceId)?.isLast === false
    );
    const starts = long.length === 0
      ? new Map<string, string>()
      : await this.#ask(long, (question) => histories.earliest(question));
    for (const device of devices) {
      const page = pages.get(device.deviceId);
      if (page === undefined || (starts === null && long.includes(device))) continue;
      const start = starts?.get(device.deviceId);
      device.failures = 0;
      device.isMeasured = true;
      if (start !== undefined) device.startAfter(start);
      else if (ready.has(device)) read.set(device, page);
    }
    return read;
  }

  /** Null when the source can't be read now. */
  async #ask<Value>(
    devices: readonly DeviceCatchUp[],
    ask: (question: HistoryQuestion) => Promise<Value>,
  ): Promise<Value | null> {
    const { tenantId, resolutionSeconds, signal } = this.#request;
    const after = new Map(devices.map(({ deviceId, position }) => [deviceId, position]));
    try {
      return await ask({ tenantId, after, resolutionSeconds, signal });
    } catch (error) {
      if (signal.aborted || !(error instanceof HistoryError)) throw error;
      this.#deps.log.debug("history_unavailable", { source: "telemetry", error });
      this.#wait(devices, error.retryAfterMs);
      return null;
    }
  }

  /** Leaves the devices alone for a while, together. */
  #wait(devices: readonly DeviceCatchUp[], retryAfterMs: number): void {
    const { clock, random } = this.#deps;
    const failures = Math.min(...devices.map((device) => device.failures));
    const leastMs = Math.max(retryAfterMs, RETRY_BASE_MS * 2 ** failures);
    const delayMs = Math.min(RETRY_MAX_MS, leastMs) * (1 + random() / 2);
    for (const device of devices) {
      device.failures++;
      device.notBefore = clock.monotonicNow() + delayMs;
    }
  }

  #deliver(pages: ReadonlyMap<DeviceCatchUp, HistoryPage>): Promise<void> {
    return deliverPages(pages, {
      ...this.#request,
      joined: (device) => {
        this.#devices.delete(device);
        device.join();
        this.#request.joined(device.deviceId, device.last);
      },
    });
  }

  #wanted(): readonly DeviceCatchUp[] {
    for (const device of this.#devices) {
      if (!this.#request.isWanted(device.deviceId)) this.#devices.delete(device);
    }
    return [...this.#devices];
  }

  #resuming({ deviceId, after, follow }: CatchUpDevice): DeviceCatchUp {
    const { startedAt, oldest, tooOld, latest } = this.#bounds;
    let resume: Resume = { from: after, complete: true };
    if (after < tooOld) resume = { from: oldest, complete: false, reason: "too_old" };
    // A device whose clock runs ahead, as far as reads go, makes such a cursor.
    else if (after > latest) resume = { from: startedAt, complete: false, reason: "in_future" };
    const { resolutionSeconds } = this.#request;
    return new DeviceCatchUp({ deviceId, follow, resolutionSeconds, after, startedAt, resume });
  }

  #lagging({ deviceId, after, follow }: CatchUpDevice): DeviceCatchUp {
    const { lateMs } = this.#deps;
    const { startedAt } = this.#bounds;
    const from = follow?.floor ?? earlier(after < startedAt ? after : startedAt, lateMs);
    const device = new DeviceCatchUp({
      deviceId,
      follow,
      resolutionSeconds: null,
      after: from,
      startedAt,
      resume: { from, complete: true },
      sent: follow?.sentTimestamps() ?? new Set(),
    });
    // However long it lagged, this goes on.
    device.isMeasured = true;
    return device;
  }
}

/** Between which instants a history may begin. */
interface Bounds {
  readonly startedAt: string;
  readonly oldest: string;
  /** Who asks for all that there is asked a moment ago. */
  readonly tooOld: string;
  readonly latest: string;
}

function boundsOf({ clock, historyMs, futureMs }: CatchUpDeps): Bounds {
  const now = clock.now();
  return {
    startedAt: instantOfMs(now),
    oldest: instantOfMs(now - historyMs),
    tooOld: instantOfMs(now - historyMs - ASKED_MS),
    latest: instantOfMs(now + futureMs),
  };
}

function earlier(instant: string, ms: number): string {
  return instantOfNanos(nanosOf(instant) - BigInt(ms) * 1_000_000n);
}
