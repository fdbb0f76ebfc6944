// One connection's subscription to one device: what of the device's states and samples it was sent, and what is due. It
// reads nothing and sends nothing.
import { type Frame, frameOf } from "../protocol/frame.ts";
import type { EveryFollow } from "./every_follow.ts";
import type { DeliveredDevice, FollowedDevice } from "./followed_device.ts";
import type { HistoryStart } from "./history_start.ts";
import type { MetricsFilter } from "./message_views.ts";
import type { Progress } from "./progress.ts";
import type { Offering, Push } from "./push.ts";
import type { TenantGroup } from "./tenant_group.ts";

/** How a client wants a device's samples. */
export interface DeviceOptions {
  readonly mode: "latest" | "every";
  /** Null for all metrics. */
  readonly metrics: MetricsFilter | null;
  readonly changesOnly: boolean;
}

/** As the core protocol has it. */
export const CORE_OPTIONS: DeviceOptions = { mode: "latest", metrics: null, changesOnly: false };

/** A history that was sent. */
export interface Past {
  /** Timestamp of its last sample. */
  readonly last: string;
  /** When that was, in milliseconds since the epoch. */
  readonly joinedAt: number;
}

export interface DeviceSubscriptionOptions {
  readonly device: FollowedDevice;
  readonly options: DeviceOptions;
  /** Whether the feed counts it by the device's name; the others are counted among all. */
  readonly isNamed: boolean;
  readonly progress: Progress;
  /** Null in mode `latest`. */
  readonly follow: EveryFollow | null;
}

export class DeviceSubscription implements Progress, Offering {
  readonly device: FollowedDevice;
  readonly options: DeviceOptions;
  readonly isNamed: boolean;
  readonly follow: EveryFollow | null;
  seq: number;
  isOwed: boolean;
  /** While its history flows nothing is pushed. */
  isHeld = false;
  /** What brings its history, until it has joined the present. */
  start: HistoryStart | null = null;
  #offeredSeq: number;
  /** The state that was last sent, for who wants changes only; 0 before any. */
  #sentVersion = 0;
  #offeredVersion = 0;
  #isStaleTold = false;
  #isStaleOffered = false;
  /** Where its history ended, for reads that began before it was there; null once one came that began later. */
  #past: Past | null = null;

  constructor({ device, options, isNamed, progress, follow }: DeviceSubscriptionOptions) {
    this.device = device;
    this.options = options;
    this.isNamed = isNamed;
    this.follow = follow;
    this.seq = progress.seq;
    this.isOwed = progress.isOwed;
    this.#offeredSeq = progress.seq;
  }

  /** Offers what is due. */
  collect(push: Push): void {
    if (this.isHeld) return;
    if (this.follow !== null) this.#collectSamples(push, this.follow);
    const { state } = this.device;
    if (state === null || state.seq <= this.seq) {
      push.isOwed ||= this.isOwed;
      return;
    }
    this.#offeredSeq = state.seq;
    this.#offeredVersion = this.#sentVersion;
    this.#isStaleOffered = this.#isStaleTold;
    push.offerings.push(this);
    if (state.deliveredAt <= push.oldest) return;
    this.#isStaleOffered = state.isStale && (push.tellsStale || this.#isStaleTold);
    if (this.#isStaleOffered && !this.#isStaleTold) {
      push.add(staleFrame(this.device.deviceId, state.sample?.timestamp ?? null), state.readAt);
    }
    if (this.follow !== null || state.frame === null || this.#isPast(state)) return;
    if (this.options.changesOnly && state.version === this.#sentVersion) return;
    this.#offeredVersion = state.version;
    const frame = this.#view(state.frame, push);
    if (frame === null) return;
    push.add(frame, state.readAt);
    // A first value may be as old as its device has been silent.
    const isNews = this.#sentVersion > 0 && state.version !== this.#sentVersion;
    if (isNews) push.note(state.sampledAt);
  }

  /** Takes note that what was offered last was sent. */
  sent(): void {
    this.seq = this.#offeredSeq;
    this.isOwed = false;
    this.#sentVersion = this.#offeredVersion;
    this.#isStaleTold = this.#isStaleOffered;
  }

  /** Whether it may go: its device is gone, and it was told all there was. */
  get isSpent(): boolean {
    const { state } = this.device;
    const isGone = state !== null && state.sample === null && state.seq <= this.seq;
    // The feed goes on from its last batch: who follows anew when the device is back is sent the next one.
    const isTold = this.follow === null || this.follow.isUpToDate;
    return isGone && isTold && !this.isHeld && !this.isNamed;
  }

  /** Lets go of the device, once whatever takes its place follows it. */
  leave(group: TenantGroup): void {
    if (this.follow !== null) group.unfollowEvery(this.device);
    group.unfollow(this.device);
    this.start?.leave(this.device.deviceId);
    this.start = null;
  }

  /** Goes on after its history, where it had any; the newest state is not said twice. */
  resume(past: Past | null): void {
    this.isHeld = false;
    this.#past = past;
    const { state } = this.device;
    const newest = state?.sample?.timestamp;
    if (state === null || newest === undefined || past === null || newest > past.last) return;
    this.seq = state.seq;
    this.isOwed = false;
    if (newest === past.last) this.#sentVersion = this.#offeredVersion = state.version;
  }

  /**
   * The latest time, in milliseconds since the epoch, from which a client that comes back misses no sample: null while
   * its history flows. A device that is silent holds nobody back: it would send a client hours into the past.
   */
  resumePointMs(lateMs: number): number | null {
    if (this.isHeld || (this.follow !== null && !this.follow.isLive)) return null;
    const { state } = this.device;
    if (state === null) return Infinity;
    const { sample, sampledAt, isStale, readAt } = state;
    if (sample === null) return readAt - lateMs;
    const point = (isStale ? readAt : Math.min(sampledAt, readAt)) - lateMs;
    return Math.min(point, this.#unreadMs(sample.timestamp));
  }

  /** Whether a read that was under way with the history found no more than that: the client has it, or a newer one. */
  #isPast({ sample, readAt, version }: DeliveredDevice): boolean {
    if (this.#past === null || sample === null) return false;
    const { last, joinedAt } = this.#past;
    if (sample.timestamp === last) this.#sentVersion = this.#offeredVersion = version;
    if (readAt > joinedAt) this.#past = null;
    return readAt <= joinedAt && sample.timestamp <= last;
  }

  /** Since when what is stored has still to be read, where the newest is known before those behind it; else Infinity. */
  #unreadMs(newest: string): number {
    if (this.follow === null) return Infinity;
    const { cursor, floor, sinceMs } = this.follow;
    // Until its first batch nothing of it was sent, and all that is later than its beginning will be.
    if (floor === null) return sinceMs;
    // No later batch holds anything as old as the floor.
    if (newest <= floor) return Infinity;
    return cursor === null || newest > cursor ? Date.parse(floor) : Infinity;
  }

  #collectSamples(push: Push, follow: EveryFollow): void {
    const due = follow.due();
    if (due === null) {
      push.behindDevices.push(this);
      return;
    }
    if (due.length === 0) return;
    push.offerings.push(follow);
    let newest = "";
    for (const { frame, readAt, sample } of due) {
      const view = this.#view(frame, push);
      if (view === null) continue;
      push.add(view, readAt);
      // Timestamps of one form compare as text.
      if (sample.timestamp > newest) newest = sample.timestamp;
    }
    push.note(Date.parse(newest));
  }

  #view(frame: Frame, push: Push): Frame | null {
    const { metrics } = this.options;
    return metrics === null ? frame : push.views.filtered(frame, metrics);
  }
}

function staleFrame(deviceId: string, last: string | null): Frame {
  return frameOf({ type: "stale", device_id: deviceId, last });
}
