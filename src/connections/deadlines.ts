// Instants at which something is due, all of them kept by one timer: the runtime's own timer costs some 700 bytes each,
// and one that is cleared leaves its duration behind until it would have fired. It must miss none and be early for none.
import type { Clock, TimerHandle } from "../clock.ts";

export interface Deadline {
  /** Milliseconds since the epoch; it must not change while it is kept. */
  readonly at: number;
  /** Where it stands among those that are kept, noted by whoever keeps it; null while nobody does. */
  place: number | null;
  /** Called once it is due and kept no more. What it throws keeps no other from being called. */
  due(): void;
}

/** A timer is set anew after so long: no clock that is set meanwhile is followed later than that. */
const MAX_WAIT_MS = 60_000;

export class Deadlines {
  readonly #clock: Clock;
  /** A binary heap: none is due before the one at half its place. */
  readonly #heap: Deadline[] = [];
  #timer: TimerHandle | null = null;
  /** When the timer fires, in milliseconds since the epoch. */
  #looksAt = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#heap.length;
  }

  keep(deadline: Deadline): void {
    this.#heap.push(deadline);
    this.#rise(deadline, this.#heap.length - 1);
    if (deadline.at < this.#looksAt) this.#wait();
  }

  /** Forgets it; does nothing where it is not kept. */
  drop(deadline: Deadline): void {
    const { place } = deadline;
    if (place === null) return;
    deadline.place = null;
    const last = this.#heap.pop();
    if (last !== undefined && last !== deadline) {
      this.#sink(last, place);
      this.#rise(last, last.place ?? place);
    }
    // Of any other the timer just finds it gone.
    if (this.#heap.length === 0 && this.#timer !== null) this.#rest();
  }

  #look(): void {
    this.#timer = null;
    // Who is kept meanwhile is waited for afterwards, with all others.
    this.#looksAt = -Infinity;
    try {
      const now = this.#clock.now();
      for (let [first] = this.#heap; first !== undefined && first.at <= now; [first] = this.#heap) {
        this.drop(first);
        first.due();
      }
    } finally {
      this.#wait();
    }
  }

  #wait(): void {
    const [first] = this.#heap;
    this.#rest();
    if (first === undefined) return;
    const now = this.#clock.now();
    const delayMs = Math.min(Math.max(0, first.at - now), MAX_WAIT_MS);
    this.#looksAt = now + delayMs;
    this.#timer = this.#clock.setTimeout(() => this.#look(), delayMs);
  }

  #rest(): void {
    if (this.#timer !== null) this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
    this.#looksAt = Infinity;
  }

  #rise(deadline: Deadline, from: number): void {
    let place = from;
    while (place > 0) {
      const above = this.#heap[(place - 1) >> 1] as Deadline;
      if (above.at <= deadline.at) break;
      this.#put(above, place);
      place = (place - 1) >> 1;
    }
    this.#put(deadline, place);
  }

  #sink(deadline: Deadline, from: number): void {
    let place = from;
    while (true) {
      let below = 2 * place + 1;
      const right = this.#heap[below + 1];
      if (right !== undefined && right.at < (this.#heap[below] as Deadline).at) below++;
      const next = this.#heap[below];
      if (next === undefined || next.at >= deadline.at) break;
      this.#put(next, place);
      place = below;
    }
    this.#put(deadline, place);
  }

  #put(deadline: Deadline, place: number): void {
    this.#heap[place] = deadline;
    deadline.place = place;
  }
}
