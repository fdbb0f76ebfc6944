// How long to wait before the next attempt: a random time under a ceiling that doubles with each failure in a row. It
// must never say zero, whatever the random numbers are, and never begin anew for a success that did not last.

export interface BackoffOptions {
  /** The first ceiling. */
  readonly baseMs: number;
  /** The highest ceiling. */
  readonly maxMs: number;
  /** The shortest wait. */
  readonly minMs: number;
  /** From 0 to less than 1. */
  readonly random: () => number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** The wait after one more failure. */
  next(): number {
    const { baseMs, maxMs, minMs, random } = this.#options;
    // 2 ** 1024 is infinite, and the ceiling holds all the same.
    const ceilingMs = Math.min(maxMs, baseMs * 2 ** this.#failures++);
    return minMs + random() * Math.max(0, ceilingMs - minMs);
  }

  /** What came after the failures has lasted. */
  succeed(): void {
    this.#failures = 0;
  }
}
