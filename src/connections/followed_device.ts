// A device that connections of one tenant follow: its newest state and the batches of samples that some of them may still
// need. It must number batches so that whoever misses one finds out.
import { type RecentBatches, withBatch } from "../feed/recent_batches.ts";
import type { DeviceBatch, DeviceState } from "../feed/seam.ts";
import type { Delivered } from "./delivered.ts";

/** What every connection asks of a state is made of its timestamp once. */
export interface DeliveredDevice extends Delivered<DeviceState> {
  /** When its sample was taken, in milliseconds since the epoch; NaN where there is none. */
  readonly sampledAt: number;
}

/** Batches of samples that are kept for who could not take them at once; others read them again. */
const KEPT_BATCHES = 4;

/** A device that connections of this tenant follow; subscriptions hold it, so that a push looks nothing up. */
export class FollowedDevice {
  readonly deviceId: string;
  followers = 0;
  state: DeliveredDevice | null = null;
  #everyFollowers = 0;
  #batches: readonly DeviceBatch[] = [];
  #recent: RecentBatches = [];
  #number = 0;
  /** The number that the feed gave the newest batch; null before the first. */
  #feedNumber: number | null = null;
  #floor: string | null = null;
  #first: DeviceBatch | null = null;

  constructor(deviceId: string) {
    this.deviceId = deviceId;
  }

  /** How many are sent every sample of it. */
  get everyFollowers(): number {
    return this.#everyFollowers;
  }

  /** The newest ones, the newest last; numbered here, as a feed begins anew where it has lost its place. */
  get batches(): readonly DeviceBatch[] {
    return this.#batches;
  }

  /** What who begins to follow now has not missed, and could be read once more. */
  get recent(): RecentBatches {
    return this.#recent;
  }

  /** Number of the newest batch; 0 before the first. */
  get batchNumber(): number {
    return this.#number;
  }

  /** Instant with nine digits; no later batch holds a sample as old as it. Null before the first. */
  get floor(): string | null {
    return this.#floor;
  }

  /** The first batch, without its samples: where who came before it begins. Null before it. */
  get first(): DeviceBatch | null {
    return this.#first;
  }

  followEvery(): void {
    this.#everyFollowers++;
  }

  unfollowEvery(): void {
    if (--this.#everyFollowers === 0) this.#batches = [];
  }

  /** Nobody is sent every sample any more, not even among all: the feed numbers anew for whoever comes next. */
  forgetBatches(): void {
    this.#batches = [];
    this.#recent = [];
    this.#number = 0;
    this.#feedNumber = null;
    this.#floor = null;
    this.#first = null;
  }

  /** Takes note of a batch, also while only others among all want it: who joins goes on from here. */
  deliver({ number, floor, ...batch }: DeviceBatch): void {
    const isNext = this.#feedNumber === null || number === this.#feedNumber + 1;
    // A number is left out where some are missing: who needs them finds them gone.
    this.#number += isNext ? 1 : 2;
    if (!isNext) this.#batches = [];
    this.#feedNumber = number;
    this.#floor = floor;
    const numbered = { ...batch, number: this.#number, floor };
    this.#first ??= { ...numbered, samples: [] };
    this.#recent = withBatch(this.#recent, numbered);
    if (this.#everyFollowers === 0) return;
    this.#batches = [...this.#batches.slice(1 - KEPT_BATCHES), numbered];
  }
}
