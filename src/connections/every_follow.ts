// One subscription's place in the batches of a device of which it is sent every sample. It must give no sample twice and
// leave none out; it reads nothing and sends nothing.
import {
  laterThan,
  newestTimestamp,
  type RecentBatches,
  timestampsIn,
} from "../feed/recent_batches.ts";
import type { DeviceBatch, StoredSample } from "../feed/seam.ts";

/** A followed device's newest batches, as they were delivered. */
export interface BatchSource {
  readonly deviceId: string;
  /** The newest last, their numbers without a gap, the first of all numbered 1. */
  readonly batches: readonly DeviceBatch[];
  /** Those that hold what could be read once more. */
  readonly recent: RecentBatches;
  /** Number of the newest batch; 0 before the first. */
  readonly batchNumber: number;
  /** The newest batch's; null before the first. */
  readonly floor: string | null;
  /** The first batch, without its samples; null before it. */
  readonly first: DeviceBatch | null;
}

/** A place in a device's batches. */
export interface BatchPlace {
  /** Number of the last batch that is behind. */
  readonly number: number;
  /** That batch's. */
  readonly floor: string;
}

/** Where catching up ends and the batches go on. */
export interface Handover {
  /** What later batches hold, and no others, has not been read. */
  readonly place: BatchPlace;
  /** Samples as old as this or older are not this subscription's. */
  readonly base: string;
  /** Timestamps that have been sent, all that are later than the place's floor. */
  readonly sent: ReadonlySet<string>;
  /** Greatest timestamp that has been sent; null where none was. */
  readonly cursor: string | null;
}

const NOTHING: readonly StoredSample[] = [];

/** Begins at the newest batch, or with the first where none was delivered yet. */
export class EveryFollow {
  /** When it was asked for, in milliseconds since the epoch. */
  readonly sinceMs: number;
  readonly #device: BatchSource;
  #isLive = true;
  #number: number;
  #floor: string | null;
  #base: string | null = null;
  #cursor: string | null;
  /** Batches that hold what was sent, or skipped at the start, and could be read again; shared with all who were. */
  #recent: RecentBatches;
  /** What catching up sent and later batches may hold. */
  #handedOver: ReadonlySet<string> = new Set();
  #offered: readonly DeviceBatch[] = [];

  constructor(device: BatchSource, sinceMs: number) {
    this.sinceMs = sinceMs;
    this.#device = device;
    this.#number = device.batchNumber;
    this.#floor = device.floor;
    this.#recent = device.recent;
    this.#cursor = newestTimestamp(device.recent);
  }

  /** Whether the batches are all it needs; false once some are gone, until it has caught up. */
  get isLive(): boolean {
    return this.#isLive;
  }

  /** Whether every batch that was delivered is behind it. */
  get isUpToDate(): boolean {
    return this.#isLive && this.#device.batchNumber === this.#number;
  }

  /** Greatest timestamp sent, or known to be skipped at the start; null before any. */
  get cursor(): string | null {
    return this.#cursor;
  }

  /** The instant after which lies whatever later batches hold; null until a batch is behind it. */
  get floor(): string | null {
    return this.#floor === null || this.#base === null || this.#base < this.#floor
      ? this.#floor
      : this.#base;
  }

  /** Samples of later batches that were not sent yet; null when batches are gone, so that only the database has them. */
  due(): readonly StoredSample[] | null {
    if (!this.#isLive) return null;
    if (this.#device.batchNumber === this.#number) return NOTHING;
    if (!this.has(this.#number)) {
      this.#isLive = false;
      const { first } = this.#device;
      if (this.#floor === null && first !== null) {
        // The first batch went by unseen: what it names is not due all the same.
        this.#floor = first.floor;
        this.#recent = [first];
      }
      return null;
    }
    this.#offered = this.#device.batches.filter(({ number }) => number > this.#number);
    const due = this.#offered.flatMap(({ samples }) =>
      samples.filter(({ sample }) => this.#isDue(sample.timestamp))
    );
    // Nobody will say that nothing was sent.
    if (due.length === 0) this.sent();
    return due;
  }

  /** Notes that everything that `due` gave was sent. */
  sent(): void {
    const last = this.#offered.at(-1);
    if (last === undefined) return;
    const newest = newestTimestamp(this.#offered);
    if (newest !== null && (this.#cursor === null || newest > this.#cursor)) this.#cursor = newest;
    this.#recent = [...this.#recent, ...this.#offered];
    this.#offered = [];
    this.#goOn(last);
  }

  /** Whether every batch after the one with this number is still there. */
  has(number: number): boolean {
    const { batchNumber, batches } = this.#device;
    return batchNumber === number ||
      (batchNumber > number && (batches[0]?.number ?? Infinity) <= number + 1);
  }

  /** The place of the newest batch; null before the first. */
  newest(): BatchPlace | null {
    const { batchNumber, floor } = this.#device;
    return floor === null ? null : { number: batchNumber, floor };
  }

  /** What was sent, or skipped at the start, and is later than the floor. */
  sentTimestamps(): Set<string> {
    return above(this.floor, [...timestampsIn(this.#recent), ...this.#handedOver]);
  }

  /** Goes on live from where catching up ended. */
  join({ place, base, sent, cursor }: Handover): void {
    this.#isLive = true;
    this.#offered = [];
    this.#recent = [];
    this.#base = base;
    this.#handedOver = sent;
    // Windows name no samples: what the batches behind it hold was read all the same.
    const read = newestTimestamp(this.#device.recent.filter((it) => it.number <= place.number));
    this.#cursor = cursor === null || (read !== null && read > cursor) ? read ?? cursor : cursor;
    this.#goOn(place);
  }

  #isDue(timestamp: string): boolean {
    return (this.#base === null || timestamp > this.#base) && !this.#handedOver.has(timestamp);
  }

  #goOn({ number, floor }: BatchPlace): void {
    this.#number = number;
    this.#floor = floor;
    const from = this.floor ?? "";
    this.#recent = laterThan(this.#recent, from);
    if (this.#handedOver.size > 0) this.#handedOver = above(from, this.#handedOver);
  }
}

function above(instant: string | null, timestamps: Iterable<string>): Set<string> {
  const later = new Set<string>();
  for (const timestamp of timestamps) {
    if (instant === null || timestamp > instant) later.add(timestamp);
  }
  return later;
}
