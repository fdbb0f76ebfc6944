// Reads that notifications ask for between ticks: many notifications are one read, reads keep their distance, and none is
// lost, however long it must wait. It knows nothing of what is read.
import type { Clock, TimerHandle } from "../clock.ts";

export interface NotifiedReadsOptions {
  readonly clock: Clock;
  /** Null while a read is under way that was begun by others: they call `resume` when it is over. */
  readonly waitMs: () => number | null;
  /** Never rejects. */
  readonly read: () => Promise<void>;
}

/** Notifications within this time are one read. */
const WINDOW_MS = 50;
/** One tenant's reads are at least this far apart. */
const DISTANCE_MS = 250;

export class NotifiedReads {
  readonly #options: NotifiedReadsOptions;
  #isWanted = false;
  #isReading = false;
  #lastAt = -Infinity;
  #timer: TimerHandle | null = null;

  constructor(options: NotifiedReadsOptions) {
    this.#options = options;
  }

  notify(): void {
    this.#isWanted = true;
    this.#schedule(WINDOW_MS);
  }

  /** A read begins that will see what the notifications so far were about. */
  satisfy(): void {
    this.#isWanted = false;
    this.#clearTimer();
  }

  /** A read is over during which there may have been notifications. */
  resume(): void {
    if (this.#isWanted) this.#schedule(0);
  }

  stop(): void {
    this.satisfy();
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== null || this.#isReading) return;
    const { clock } = this.#options;
    const distanceMs = this.#lastAt + DISTANCE_MS - clock.monotonicNow();
    this.#timer = clock.setTimeout(() => {
      this.#timer = null;
      this.#run();
    }, Math.max(delayMs, distanceMs, 0));
  }

  async #run(): Promise<void> {
    const { clock, read, waitMs } = this.#options;
    const restMs = waitMs();
    if (restMs === null) return;
    if (restMs > 0) {
      this.#schedule(restMs);
      return;
    }
    this.#isWanted = false;
    this.#isReading = true;
    this.#lastAt = clock.monotonicNow();
    await read();
    this.#isReading = false;
    this.resume();
  }

  #clearTimer(): void {
    if (this.#timer !== null) this.#options.clock.clearTimeout(this.#timer);
    this.#timer = null;
  }
}
