// An issuer's key set, kept over the issuer's failures; tokens must never be able to make it fetch more than one refresh a cooldown.
import { createLocalJWKSet, errors } from "jose";
import type { Clock } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import { AuthError } from "./auth_error.ts";
import { fetchJson } from "./fetch_json.ts";
import type { KeyLocation } from "./key_location.ts";
import type { KeySource, KeysState } from "./key_source.ts";

const ALGORITHMS: readonly string[] = Object.freeze([
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
]);

/** Milliseconds before the second try to reach an issuer that was never reached; doubled up to the cooldown. */
const FIRST_RETRY_MS = 1_000;

export interface RemoteKeysOptions {
  readonly cacheMaxAgeMs: number;
  readonly cooldownMs: number;
  readonly timeoutMs: number;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly log?: Log | undefined;
  readonly signal?: AbortSignal | undefined;
}

type KeySet = ReturnType<typeof createLocalJWKSet>;

/**
 * Stands in for jose's createRemoteJWKSet, which refuses every token once its cache is old and the
 * issuer is down, and whose cooldown counts successes only, so that it asks a failing issuer per token.
 */
export class RemoteKeys implements KeySource {
  readonly algorithms = ALGORITHMS;
  readonly #location: KeyLocation;
  readonly #options: RemoteKeysOptions;
  #keys: KeySet | null = null;
  #fetchedAt = 0;
  #attemptedAt: number | null = null;
  #failures = 0;
  #failure: Error | null = null;
  #refreshing: Promise<void> | null = null;

  constructor(location: KeyLocation, options: RemoteKeysOptions) {
    this.#location = location;
    this.#options = options;
  }

  get state(): KeysState {
    return { reached: this.#keys !== null, failure: this.#failure };
  }

  readonly find: KeySource["find"] = async (header, jws) => {
    if (!this.#isFresh()) {
      const refreshed = this.#refresh();
      // An issuer known to fail makes nobody wait for keys that are at hand.
      if (this.#keys === null || this.#failures === 0) await refreshed;
    }
    const keys = this.#keys;
    if (keys === null) {
      throw new AuthError("keys_unavailable", "Failed to reach the issuer's keys", {
        cause: this.#failure,
      });
    }
    try {
      return await keys(header, jws);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.#refresh();
      if (this.#keys === keys) throw error;
      return await this.#keys!(header, jws);
    }
  };

  async reach(): Promise<boolean> {
    if (!this.#isFresh()) await this.#refresh();
    return this.#keys !== null;
  }

  #isFresh(): boolean {
    const age = this.#options.clock.now() - this.#fetchedAt;
    return this.#keys !== null && age >= 0 && age < this.#options.cacheMaxAgeMs;
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
    const elapsedMs = clock.now() - this.#attemptedAt;
    // A clock that was set back must not stretch the pause.
    return elapsedMs < 0 || elapsedMs >= pauseMs;
  }

  async #attempt(): Promise<void> {
    const { clock, log } = this.#options;
    this.#attemptedAt = clock.now();
    try {
      this.#keys = await this.#fetch();
      this.#fetchedAt = clock.now();
      if (this.#failures > 0) log?.info("keys_reached", { location: this.#location.name });
      this.#failures = 0;
      this.#failure = null;
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

  async #fetch(): Promise<KeySet> {
    const { clock, timeoutMs, fetch, signal: end } = this.#options;
    const deadline = new AbortController();
    const timer = clock.setTimeout(() => {
      deadline.abort(new Error(`Failed to fetch the issuer's keys within ${timeoutMs} ms`));
    }, timeoutMs);
    const signal = end === undefined ? deadline.signal : AbortSignal.any([deadline.signal, end]);
    try {
      const url = await this.#location.locate(signal);
      const document = await fetchJson(url, { fetch, signal });
      const keys = createLocalJWKSet(document as Parameters<typeof createLocalJWKSet>[0]);
      // An issuer in trouble may answer an empty set; the keys at hand are better than none.
      if (keys.jwks().keys.length === 0) throw new Error("Issuer's key set is empty");
      return keys;
    } finally {
      clock.clearTimeout(timer);
    }
  }
}
