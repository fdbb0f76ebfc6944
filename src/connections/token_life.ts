// Watches one connection's token: a warning a minute before it ends, the end when it ends, and a new start when it is
// renewed. It ends nothing itself.
import type { Clock, TimerHandle } from "../clock.ts";

export interface TokenLifeOptions {
  /** When the token ends, in milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly clock: Clock;
  readonly expiring: () => void;
  readonly expired: () => void;
}

/** How long before its end a client is told. */
export const EXPIRY_NOTICE_MS = 60_000;
/** Timers hold 31 bits of milliseconds, 24.8 days; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class TokenLife implements Disposable {
  readonly #options: TokenLifeOptions;
  #expiresAt: number;
  #isTold = false;
  #timer: TimerHandle | null = null;

  constructor(options: TokenLifeOptions) {
    this.#options = options;
    this.#expiresAt = options.expiresAt;
    this.#wait();
  }

  get expiresAt(): number {
    return this.#expiresAt;
  }

  /** Whether its last minute has begun. */
  get isExpiring(): boolean {
    return this.#isTold;
  }

  /** Goes on with another token's end. */
  renew(expiresAt: number): void {
    this.#expiresAt = expiresAt;
    this.#isTold = false;
    this[Symbol.dispose]();
    this.#wait();
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) this.#options.clock.clearTimeout(this.#timer);
    this.#timer = null;
  }

  #wait(): void {
    const { clock } = this.#options;
    const nextAt = this.#isTold ? this.#expiresAt : this.#expiresAt - EXPIRY_NOTICE_MS;
    const delayMs = Math.min(Math.max(0, nextAt - clock.now()), MAX_TIMER_MS);
    this.#timer = clock.setTimeout(() => this.#look(), delayMs);
  }

  #look(): void {
    const { clock, expiring, expired } = this.#options;
    const leftMs = this.#expiresAt - clock.now();
    if (leftMs <= 0) {
      this.#timer = null;
      expired();
      return;
    }
    const isNew = leftMs <= EXPIRY_NOTICE_MS && !this.#isTold;
    this.#isTold ||= isNew;
    // Before the client is told: whatever comes of that, the token ends in time.
    this.#wait();
    if (isNew) expiring();
  }
}
