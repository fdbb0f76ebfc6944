// How far one device's samples have been read for those who follow every one. Each stored sample comes out of it once;
// what it was told to have read it must never ask for again, but for the time in which samples may come late.
import { instantOfNanos, nanosOf } from "../protocol/nano_instant.ts";
import type { Sample } from "../protocol/server_messages.ts";
import type { ReadStart } from "./read_start.ts";

export interface TrackBeginning {
  readonly deviceId: string;
  /** The newest sample's timestamp; null while the device has none. */
  readonly cursor: string | null;
  /** When the read began that found it. */
  readonly start: ReadStart;
  readonly lateMs: number;
  /** What is as old as this was stored before; where nothing is said, what is too late beside the cursor and the start. */
  readonly floor?: string;
  /** Timestamps above the floor that were stored before. */
  readonly seen?: Iterable<string>;
}

export interface RangeOutcome {
  /** Ascending, all that are stored after the bound that was asked for; of a truncated read, the first of them. */
  readonly samples: readonly Sample[];
  readonly isTruncated: boolean;
  readonly start: ReadStart;
}

/** A read that was truncated and goes on from its end, until it has come to the present. */
interface Sweep {
  /** The beginning of its first read. */
  readonly start: ReadStart;
  readonly from: string;
}

const nanosPerMillisecond = 1_000_000n;

export class Track {
  readonly deviceId: string;
  readonly #lateNanos: bigint;
  #cursor: string | null;
  #floor: string;
  /** The last read that covered everything stored before it began. */
  #served: ReadStart;
  #sweep: Sweep | null = null;
  #seen: Set<string>;
  #number = 1;

  constructor(beginning: TrackBeginning) {
    const { deviceId, cursor, start, lateMs, seen = [] } = beginning;
    this.deviceId = deviceId;
    this.#lateNanos = BigInt(Math.round(lateMs)) * nanosPerMillisecond;
    this.#cursor = cursor;
    this.#served = start;
    this.#floor = beginning.floor ?? this.#floorAt(cursor);
    this.#seen = new Set(seen);
  }

  /** The number of the newest batch. */
  get number(): number {
    return this.#number;
  }

  /** Instant with nine digits; no later batch holds a sample as old as this. */
  get floor(): string {
    return this.#floor;
  }

  /** Timestamps later than the floor that were read or stored before, ascending. */
  get seen(): readonly string[] {
    return [...this.#seen].filter((timestamp) => timestamp > this.#floor).toSorted();
  }

  /** The bound that the next read must begin at, or before. */
  get after(): string {
    return this.#sweep?.from ?? this.#floor;
  }

  /** Whether the device and its last read are so young that one short range has all that may be new. */
  isNear(bound: string): boolean {
    if (this.#cursor === null || this.#sweep !== null) return false;
    return this.#cursor >= bound && this.#served.instant >= bound;
  }

  /**
   * Whether a device that is not near must be read, given its newest sample's timestamp (null when it has none): it has
   * a newer sample, or one may have come late since it was read last.
   */
  isBehind(newest: string | null): boolean {
    if (this.#sweep !== null) return true;
    if (this.#cursor !== null && this.#cursor > this.#served.late) return true;
    return newest !== null && newest > this.#floor &&
      (this.#cursor === null || newest > this.#cursor);
  }

  /** Takes over what a read brought that began at `after` or before; returns the samples that are new, ascending. */
  take({ samples, isTruncated, start }: RangeOutcome): readonly Sample[] {
    const fresh: Sample[] = [];
    for (const sample of samples) {
      const { timestamp } = sample;
      if (timestamp <= this.#floor || this.#seen.has(timestamp)) continue;
      this.#seen.add(timestamp);
      fresh.push(sample);
    }
    const last = samples.at(-1)?.timestamp;
    if (last !== undefined && (this.#cursor === null || last > this.#cursor)) this.#cursor = last;
    this.#served = this.#sweep?.start ?? start;
    if (isTruncated) {
      const { after } = this;
      const from = last !== undefined && last > after ? last : after;
      this.#sweep = { start: this.#served, from };
      this.#raiseFloor(this.#floorAt(from));
    } else {
      this.#sweep = null;
      this.#raiseFloor(this.#floorAt(this.#cursor));
    }
    if (fresh.length > 0) this.#number++;
    return fresh;
  }

  /** What nobody may store any more, beside a sample and the beginning of the last read, and still be in time. */
  #floorAt(instant: string | null): string {
    if (instant === null || instant >= this.#served.instant) return this.#served.late;
    return instantOfNanos(nanosOf(instant) - this.#lateNanos);
  }

  #raiseFloor(floor: string): void {
    if (floor <= this.#floor) return;
    this.#floor = floor;
    for (const timestamp of this.#seen) if (timestamp <= floor) this.#seen.delete(timestamp);
  }
}
