// Watches one connection's token: a warning a minute before it ends, the end when it ends, and a new start when it is
// renewed. It ends nothing itself.
import type { Clock } from "../clock.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";

/** Whoever is told how a token fares. */
export interface TokenHolder {
  tokenExpiring(): void;
  tokenExpired(): void;
}

export interface TokenLifeOptions {
  /** When the token ends, in milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly clock: Clock;
  /** Shared by all tokens. */
  readonly deadlines: Deadlines;
  readonly holder: TokenHolder;
}

/** How long before its end a client is told. */
export const EXPIRY_NOTICE_MS = 60_000;

export class TokenLife implements Disposable, Deadline {
  /** When it is looked at next. */
  at = 0;
  place: number | null = null;
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #holder: TokenHolder;
  #expiresAt: number;
  #isTold = false;

  constructor({ expiresAt, clock, deadlines, holder }: TokenLifeOptions) {
    this.#clock = clock;
    this.#deadlines = deadlines;
    this.#holder = holder;
    this.#expiresAt = expiresAt;
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
    this[Symbol.dispose]();
    this.#expiresAt = expiresAt;
    this.#isTold = false;
    this.#wait();
  }

  due(): void {
    const leftMs = this.#expiresAt - this.#clock.now();
    if (leftMs <= 0) {
      this.#holder.tokenExpired();
      return;
    }
    const isNew = leftMs <= EXPIRY_NOTICE_MS && !this.#isTold;
    this.#isTold ||= isNew;
    // Before the client is told: whatever comes of that, the token ends in time.
    this.#wait();
    if (isNew) this.#holder.tokenExpiring();
  }

  [Symbol.dispose](): void {
    this.#deadlines.drop(this);
  }

  #wait(): void {
    this.at = this.#isTold ? this.#expiresAt : this.#expiresAt - EXPIRY_NOTICE_MS;
    this.#deadlines.keep(this);
  }
}
