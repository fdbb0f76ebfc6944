// An issuer's key set, kept over the issuer's failures; tokens must never be able to make it fetch more than one refresh a cooldown.
import { createLocalJWKSet, errors, jwtVerify, type JWTVerifyGetKey } from "jose";
import type { Clock } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import { AuthError } from "./auth_error.ts";
import { fetchJson } from "./fetch_json.ts";
import type { KeyLocation } from "./key_location.ts";
import type { Authentic, ClaimRules, KeySource, KeysState, VerificationKey } from "./key_source.ts";
import type { Claims } from "./scope.ts";

const ALGORITHMS = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];

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

interface KeySet {
  /** The document it was made of: the same text again is the same set. */
  readonly text: string;
  readonly find: ReturnType<typeof createLocalJWKSet>;
  /** The keys that were found in it. */
  readonly found: WeakSet<VerificationKey>;
}

/**
 * Stands in for jose's createRemoteJWKSet, which refuses every token once its cache is old and the
 * issuer is down, and whose cooldown counts successes only, so that it asks a failing issuer per token.
 */
export class RemoteKeys implements KeySource {
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

  async authenticate(token: string, rules: ClaimRules): Promise<Authentic> {
    const options = { ...rules, algorithms: ALGORITHMS };
    try {
      const { payload, key } = await jwtVerify(token, this.#find, options);
      return { claims: payload, key };
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      return { claims: await verifyWithAny(token, { candidates: error, options }), key: null };
    }
  }

  async holds(key: VerificationKey): Promise<boolean> {
    return (await this.#current()).found.has(key);
  }

  async reach(): Promise<boolean> {
    if (!this.#isFresh()) await this.#refresh();
    return this.#keys !== null;
  }

  readonly #find: JWTVerifyGetKey<CryptoKey> = async (header, jws) => {
    const keys = await this.#current();
    try {
      return await findIn(keys, { header, jws });
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.#refresh();
      if (this.#keys === keys) throw error;
      return await findIn(this.#keys!, { header, jws });
    }
  };

  /** The keys to verify with now, fetched again first where they are too old. */
  async #current(): Promise<KeySet> {
    if (!this.#isFresh()) {
      const refreshed = this.#refresh();
      // An issuer known to fail makes nobody wait for keys that are at hand.
      if (this.#keys === null || this.#failures === 0) await refreshed;
    }
    if (this.#keys !== null) return this.#keys;
    throw new AuthError("keys_unavailable", "Failed to reach the issuer's keys", {
      cause: this.#failure,
    });
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
      const text = JSON.stringify(document);
      // What was verified with a set need not be verified again when the issuer only says it again.
      if (text === this.#keys?.text) return this.#keys;
      const find = createLocalJWKSet(document as Parameters<typeof createLocalJWKSet>[0]);
      // An issuer in trouble may answer an empty set; the keys at hand are better than none.
      if (find.jwks().keys.length === 0) throw new Error("Issuer's key set is empty");
      return { text, find, found: new WeakSet() };
    } finally {
      clock.clearTimeout(timer);
    }
  }
}

async function findIn(
  keys: KeySet,
  { header, jws }: {
    readonly header: Parameters<KeySet["find"]>[0];
    readonly jws: Parameters<KeySet["find"]>[1];
  },
): Promise<CryptoKey> {
  const key = await keys.find(header, jws);
  keys.found.add(key);
  return key;
}

/** A token without `kid` may fit several keys of a set, as it does while an issuer rotates. */
async function verifyWithAny(
  token: string,
  { candidates, options }: {
    readonly candidates: AsyncIterable<CryptoKey>;
    readonly options: ClaimRules & { readonly algorithms: string[] };
  },
): Promise<Claims> {
  for await (const key of candidates) {
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  throw new errors.JWSSignatureVerificationFailed();
}
