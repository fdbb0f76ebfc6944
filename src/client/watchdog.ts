// Tells a dead socket from a quiet one: after a silence it asks, and without an answer in time the socket is dead. It must
// never call a socket dead because this machine slept or the tab was hidden: a timer that fires late asks anew.
import type { Clock, TimerHandle } from "../clock.ts";

export interface WatchdogOptions {
  readonly clock: Clock;
  /** Silence after which it asks. */
  readonly quietMs: number;
  /** How long an answer may take. */
  readonly answerMs: number;
  readonly ask: () => void;
  readonly dead: () => void;
}

/** A timer that fires so much too late has slept. */
const SLEPT_MS = 2_000;

export class Watchdog implements Disposable {
  readonly #options: WatchdogOptions;
  #heardAt: number;
  #dueAt = 0;
  #isAsking = false;
  #timer: TimerHandle | null = null;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#heardAt = options.clock.now();
    this.#wait(options.quietMs);
  }

  /** Something arrived. */
  heard(): void {
    this.#heardAt = this.#options.clock.now();
    if (!this.#isAsking || this.#timer === null) return;
    this.#isAsking = false;
    this.#wait(this.#options.quietMs);
  }

  /** Asks at once: there is a reason to doubt. */
  probe(): void {
    if (this.#timer === null) return;
    this.#isAsking = true;
    this.#wait(this.#options.answerMs);
    this.#options.ask();
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) this.#options.clock.clearTimeout(this.#timer);
    this.#timer = null;
  }

  #wait(ms: number): void {
    const { clock } = this.#options;
    if (this.#timer !== null) clock.clearTimeout(this.#timer);
    this.#dueAt = clock.now() + ms;
    this.#timer = clock.setTimeout(() => this.#look(), ms);
  }

  #look(): void {
    const { clock, quietMs, dead } = this.#options;
    const now = clock.now();
    // Messages that arrived meanwhile wait behind this timer; the wall clock is looked at because others stop in sleep.
    const hasSlept = now - this.#dueAt > SLEPT_MS;
    const quietForMs = Math.max(0, now - this.#heardAt);
    if (hasSlept) this.probe();
    else if (this.#isAsking) {
      this[Symbol.dispose]();
      dead();
    } else if (quietForMs >= quietMs) this.probe();
    else this.#wait(quietMs - quietForMs);
  }
}
