// Whose turn it is to push after a tick: tenants in rotation, a few milliseconds each, and whatever else the process has
// to do in between. However many clients a tenant has, nobody else waits for all of them. It knows no message.
import type { Clock } from "../clock.ts";

export interface Turn {
  /** Never throws. */
  take(): void;
}

/** Longer than handing the runtime its timer costs, shorter than anybody would notice. */
const SLICE_MS = 10;
/** The clock is asked after so many turns: one takes some hundredths of a millisecond. */
const TURNS_A_LOOK = 16;

/** Turns that were taken are let go of after so many. */
const MAX_TAKEN = 20_000;

/** One tenant's, in the order in which they came. */
export class TurnQueue {
  readonly #waiting: Turn[] = [];
  #taken = 0;

  get isEmpty(): boolean {
    return this.#taken === this.#waiting.length;
  }

  add(turn: Turn): void {
    this.#waiting.push(turn);
  }

  takeNext(): void {
    this.#waiting[this.#taken++]?.take();
    if (this.isEmpty) {
      // Emptied and not replaced: an array that has lived for long keeps what it held until the old part of the heap is
      // collected.
      this.#waiting.length = 0;
    } else if (this.#taken < MAX_TAKEN) {
      return;
    } else {
      // Who is behind for long is never empty.
      this.#waiting.splice(0, this.#taken);
    }
    this.#taken = 0;
  }
}

export class PushTurns {
  readonly #clock: Clock;
  /** Queues that hold something, the one whose turn is next first. */
  readonly #queues = new Set<TurnQueue>();
  #isRunning = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Has a turn taken after whatever runs now, and after those that wait in its queue. */
  add(queue: TurnQueue, turn: Turn): void {
    queue.add(turn);
    this.#queues.add(queue);
    if (this.#isRunning) return;
    this.#isRunning = true;
    queueMicrotask(() => this.#run());
  }

  /** One slice; the next one runs when the process has looked after everything else. */
  #run(): void {
    const until = this.#clock.monotonicNow() + SLICE_MS;
    let taken = 0;
    for (const queue of this.#queues) {
      // To the end of the rotation, also where the slice is over before its queue is.
      this.#queues.delete(queue);
      while (!queue.isEmpty) {
        queue.takeNext();
        if (++taken % TURNS_A_LOOK !== 0 || this.#clock.monotonicNow() < until) continue;
        if (!queue.isEmpty) this.#queues.add(queue);
        this.#clock.setTimeout(() => this.#run(), 0);
        return;
      }
    }
    this.#isRunning = false;
  }
}
