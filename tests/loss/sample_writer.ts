// Puts numbered samples into a database at a known rate, some of them late on purpose, and notes what was acknowledged.
// It must write a device's samples one after the other, so that what follows a newer one was really stored after it.
import { instantOfNanos } from "../../src/protocol/nano_instant.ts";
import { pause } from "../support/until.ts";
import { keyOf, type NumberedSample } from "./numbered_sample.ts";
import type { SampleStore } from "./sample_store.ts";
import { untilAcknowledged } from "./until_acknowledged.ts";

export interface SampleWriterOptions {
  readonly store: Pick<SampleStore, "write" | "precision">;
  readonly deviceIds: readonly string[];
  /** From one beat to the next; each device has a sample of its own at each. */
  readonly everyMs: number;
  /** How long a late sample is kept back. */
  readonly lateByMs: number;
}

/** Of so many beats one has a second sample, as close behind the first as the database can tell apart. */
const TWIN_BEATS = 5;
/** Of so many beats one has a second sample that is written late. */
const LATE_BEATS = 12;
const MAX_BATCH = 500;

export class SampleWriter implements AsyncDisposable {
  /** Nine digits; every sample is later. */
  readonly startedAt: string;
  /** In the order of their writes. */
  readonly acknowledged: NumberedSample[] = [];
  readonly #options: SampleWriterOptions;
  readonly #startMs = Date.now();
  readonly #numbers = new Map<string, number>();
  readonly #late = new Set<string>();
  readonly #waiting: NumberedSample[] = [];
  #withheld: Array<{ readonly beat: number; readonly sample: NumberedSample }> = [];
  readonly #abandoned = new AbortController();
  readonly #work: Promise<unknown>;
  #isEnding = false;
  /** Since when the oldest write waits for its acknowledgement, on the monotonic clock; null while none does. */
  #writingSince: number | null = null;
  /** Writes that failed and were made again. */
  failures = 0;

  constructor(options: SampleWriterOptions) {
    this.#options = options;
    this.startedAt = instantOfNanos(BigInt(this.#startMs) * 1_000_000n);
    this.#work = Promise.all([this.#generate(), this.#write()]);
    // Whoever ends the writer is told.
    this.#work.catch(() => {});
  }

  /** Whether the sample was written after newer ones. */
  isLate(sample: Pick<NumberedSample, "deviceId" | "timestamp">): boolean {
    return this.#late.has(keyOf(sample));
  }

  /** How long the database has not acknowledged what it was given. */
  get blockedMs(): number {
    return this.#writingSince === null ? 0 : performance.now() - this.#writingSince;
  }

  /** Makes no more samples; resolves when all that were made are acknowledged. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#work;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    this.#abandoned.abort();
    await this.#work.catch(() => {});
  }

  async #generate(): Promise<void> {
    const { everyMs } = this.#options;
    for (let beat = 1; !this.#isEnding; await pause(everyMs)) {
      const due = Math.floor((Date.now() - this.#startMs) / everyMs);
      for (; beat <= due; beat++) this.#beat(beat);
    }
    this.#release(Infinity);
  }

  #beat(beat: number): void {
    const { store, deviceIds, everyMs, lateByMs } = this.#options;
    const unit = 10n ** BigInt(9 - store.precision);
    this.#release(beat);
    for (const [index, deviceId] of deviceIds.entries()) {
      const withinBeat = BigInt((beat * 7_919 + index * 104_729) % 900_000);
      const at = (BigInt(this.#startMs + beat * everyMs) * 1_000_000n + withinBeat) / unit * unit;
      this.#waiting.push(this.#sample(deviceId, at));
      if (beat % TWIN_BEATS === 0) this.#waiting.push(this.#sample(deviceId, at + unit));
      if (beat % LATE_BEATS === index) {
        const sample = this.#sample(deviceId, at + BigInt(everyMs) * 500_000n);
        this.#late.add(keyOf(sample));
        this.#withheld.push({ beat: beat + Math.ceil(lateByMs / everyMs), sample });
      }
    }
  }

  #sample(deviceId: string, nanos: bigint): NumberedSample {
    const n = (this.#numbers.get(deviceId) ?? 0) + 1;
    this.#numbers.set(deviceId, n);
    return { deviceId, timestamp: instantOfNanos(nanos), n };
  }

  #release(beat: number): void {
    const due = this.#withheld.filter((one) => one.beat <= beat);
    this.#withheld = this.#withheld.filter((one) => one.beat > beat);
    for (const { sample } of due) this.#waiting.push(sample);
  }

  async #write(): Promise<void> {
    const { store } = this.#options;
    const { signal } = this.#abandoned;
    for (;;) {
      const batch = this.#waiting.splice(0, MAX_BATCH);
      if (batch.length === 0) {
        if (this.#isEnding && this.#withheld.length === 0) return;
        await pause(5);
        continue;
      }
      this.#writingSince = performance.now();
      this.failures += await untilAcknowledged(() => store.write(batch), { signal });
      this.#writingSince = null;
      this.acknowledged.push(...batch);
    }
  }
}
