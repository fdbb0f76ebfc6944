// The service's clock as its pushes tell it, so that a wrong clock of this machine does not matter; without any push it is
// this machine's.
import type { Clock } from "../clock.ts";

export class ServerClock {
  readonly #clock: Clock;
  #aheadMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return this.#clock.now() + this.#aheadMs;
  }

  /** A read began at this instant, shortly before now. */
  read(asOf: string): void {
    const at = Date.parse(asOf);
    if (!Number.isNaN(at)) this.#aheadMs = at - this.#clock.now();
  }
}
