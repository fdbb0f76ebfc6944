// An issuer's key set, fetched and kept over the issuer's failures; tokens must never be able to make it fetch more than one
// refresh a cooldown.
import { createLocalJWKSet } from "jose";
import { type Clock, isYoung } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import { fetchJson } from "./fetch_json.ts";
import type { KeyLocation } from "./key_location.ts";
import { areFresh, type FetchedKeys, type KeySet } from "./key_set.ts";
import type { KeysState } from "./key_source.ts";

/** Milliseconds before the second try to reach an issuer that was never reached; doubled up to the cooldown. */
const FIRST_RETRY_MS = 1_000;

export interface FetchedKeySetOptions {
  readonly cacheMaxAgeMs: number;
  readonly cooldownMs: number;
  readonly timeoutMs: number;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly log?: Log | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Stands in for jose's createRemoteJWKSet, which refuses every token once its cache is old and the
 * issuer is down, and whose cooldown counts successes only, so that it asks a failing issuer per token.
 */
export class FetchedKeySet implements KeySet {
  readonly #location: KeyLocation;
  readonly #options: FetchedKeySetOptions;
  #keys: FetchedKeys | null = null;
  #attemptedAt: number | null = null;
  #failures = 0;
  #failure: Error | null = null;
  #refreshing: Promise<void> | null = null;
  #listener: (keys: FetchedKeys) => void = () => {};

  constructor(location: KeyLocation, options: FetchedKeySetOptions) {
    this.#location = location;
    this.#options = options;
  }

  get state(): KeysState {
    return { reached: this.#keys !== null, failure: this.#failure };
  }

  /** Those that were fetched last. */
  get keys(): FetchedKeys | null {
    return this.#keys;
  }

  /** The listener hears of what was fetched before anybody who waits for it. */
  listen(listener: (keys: FetchedKeys) => void): void {
    this.#listener = listener;
  }

  async current(): Promise<FetchedKeys | null> {
    if (!this.#isFresh()) {
      const refreshed = this.#refresh();
      // An issuer known to fail makes nobody wait for keys that are at hand.
      if (this.#keys === null || this.#failures === 0) await refreshed;
    }
    return this.#keys;
  }

  async after(number: number): Promise<FetchedKeys | null> {
    if ((this.#keys?.number ?? 0) <= number) await this.#refresh();
    return this.#keys;
  }

  async reach(): Promise<boolean> {
    if (!this.#isFresh()) await this.#refresh();
    return this.#keys !== null;
  }

  #isFresh(): boolean {
    return this.#keys !== null && areFresh(this.#keys, this.#options.clock);
  }

  /** Joins the refresh under way or starts one, unless it is too early; it never rejects. */
  #refresh(): Promise<void> {
    if (this.#refreshing !== null) return this.#refreshing;
    if (!this.#mayAttempt()) return Promise.resolve();
    this.#refreshing = this.#attempt().finally(() => this.#refreshing = null);
    return this.#refreshing;
  }

  #mayAttempt(): boolean {
    if (this.#attemptedAt === null) return true;
    const { clock, cooldownMs } = this.#options;
    const pauseMs = this.#keys === null
      ? Math.min(cooldownMs, FIRST_RETRY_MS * 2 ** (this.#failures - 1))
      : cooldownMs;
    return !isYoung(this.#attemptedAt, { maxAgeMs: pauseMs, clock });
  }

  async #attempt(): Promise<void> {
    const { cacheMaxAgeMs, clock, log } = this.#options;
    this.#attemptedAt = clock.now();
    try {
      const text = await this.#fetch();
      this.#keys = {
        number: (this.#keys?.number ?? 0) + 1,
        text,
        fetchedAt: clock.now(),
        maxAgeMs: cacheMaxAgeMs,
      };
      if (this.#failures > 0) log?.info("keys_reached", { location: this.#location.name });
      this.#failures = 0;
      this.#failure = null;
      this.#listener(this.#keys);
    } catch (error) {
      this.#location.forget();
      this.#failures += 1;
      this.#failure = error instanceof Error ? error : new Error(String(error));
      if (this.#failures === 1) {
        log?.warning("keys_unreachable", {
          location: this.#location.name,
          reason: this.#failure.message,
          keysAtHand: this.#keys !== null,
        });
      }
    }
  }

  async #fetch(): Promise<string> {
    const { clock, timeoutMs, fetch, signal: end } = this.#options;
    const deadline = new AbortController();
    const timer = clock.setTimeout(() => {
      deadline.abort(new Error(`Failed to fetch the issuer's keys within ${timeoutMs} ms`));
    }, timeoutMs);
    const signal = end === undefined ? deadline.signal : AbortSignal.any([deadline.signal, end]);
    try {
      const url = await this.#location.locate(signal);
      const document = await fetchJson(url, { fetch, signal });
      const set = createLocalJWKSet(document as Parameters<typeof createLocalJWKSet>[0]);
      // An issuer in trouble may answer an empty set; the keys at hand are better than none.
      if (set.jwks().keys.length === 0) throw new Error("Issuer's key set is empty");
      return JSON.stringify(document);
    } finally {
      clock.clearTimeout(timer);
    }
  }
}
