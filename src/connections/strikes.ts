// How often one client crossed limits lately: who does so again and again does not listen. It ends nobody itself.

/** Milliseconds that a crossing counts, and that who crossed too often is told to wait. */
export const STRIKE_WINDOW_MS = 10_000;
/** Crossings within the window that end a connection. */
const MAX_STRIKES = 20;

export class Strikes {
  /** When they were, on the monotonic clock, the oldest first. */
  #times: readonly number[] = [];

  /** Counts one; true when it is the last that is borne. */
  strike(nowMs: number): boolean {
    this.#times = [...this.#times.filter((at) => nowMs - at < STRIKE_WINDOW_MS), nowMs];
    return this.#times.length >= MAX_STRIKES;
  }
}
