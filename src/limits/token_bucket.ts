// Rates with a burst, one or one for each key: full at first, refilled by the clock, and never in debt.
import type { Clock } from "../clock.ts";

export interface TokenBucketOptions {
  readonly ratePerSecond: number;
  /** Tokens of a full bucket. */
  readonly burst: number;
  readonly clock: Clock;
}

/** What adding fractions loses; without it a wait of exactly the time that was named could be in vain. */
const ROUNDING = 1e-6;

export class TokenBucket {
  readonly #options: TokenBucketOptions;
  #tokens: number;
  #countedAt: number;

  constructor(options: TokenBucketOptions) {
    this.#options = options;
    this.#tokens = options.burst;
    this.#countedAt = options.clock.monotonicNow();
  }

  get isFull(): boolean {
    this.#refill();
    return this.#tokens >= this.#options.burst;
  }

  /** Takes one token and returns 0, or takes none and returns the milliseconds until there is one. */
  take(): number {
    this.#refill();
    if (this.#tokens >= 1 - ROUNDING) {
      this.#tokens = Math.max(0, this.#tokens - 1);
      return 0;
    }
    return Math.ceil((1 - this.#tokens) / this.#options.ratePerSecond * 1_000);
  }

  #refill(): void {
    const { ratePerSecond, burst, clock } = this.#options;
    const now = clock.monotonicNow();
    const seconds = (now - this.#countedAt) / 1_000;
    this.#tokens = Math.min(burst, this.#tokens + seconds * ratePerSecond);
    this.#countedAt = now;
  }
}

/** Looking for full buckets costs a walk over all of them, so that no flood of new keys can ask for it each time. */
const SWEEP_MS = 1_000;

export interface KeyedBucketsOptions extends TokenBucketOptions {
  /** Keys remembered at once; beyond it those whose bucket is full again are forgotten, then the oldest. */
  readonly maxKeys: number;
}

/** The rates of the whole service, which may be counted by another thread. */
export interface Rates {
  /** Takes one of the key's tokens and returns 0, or takes none and returns the milliseconds until there is one. */
  take(key: string): number | Promise<number>;
}

/** A bucket for each key, bounded in number: a stranger who comes from many addresses must not fill memory. */
export class KeyedBuckets implements Rates {
  readonly #options: KeyedBucketsOptions;
  readonly #buckets = new Map<string, TokenBucket>();
  #sweptAt = -Infinity;

  constructor(options: KeyedBucketsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** As TokenBucket's `take`, for the key's own bucket. */
  take(key: string): number {
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      if (this.#buckets.size >= this.#options.maxKeys) this.#makeRoom();
      bucket = new TokenBucket(this.#options);
      this.#buckets.set(key, bucket);
    }
    return bucket.take();
  }

  #makeRoom(): void {
    const now = this.#options.clock.monotonicNow();
    if (now - this.#sweptAt >= SWEEP_MS) {
      this.#sweptAt = now;
      for (const [key, bucket] of this.#buckets) {
        if (bucket.isFull) this.#buckets.delete(key);
      }
    }
    for (const key of this.#buckets.keys()) {
      if (this.#buckets.size < this.#options.maxKeys) return;
      this.#buckets.delete(key);
    }
  }
}
