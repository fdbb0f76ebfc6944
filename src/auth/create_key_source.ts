// Makes the source of keys, and the key set behind it, that the settings name. It fetches nothing.
import type { Clock } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import { FetchedKeySet } from "./fetched_key_set.ts";
import { discoveredLocation, fixedLocation } from "./key_location.ts";
import type { KeySet } from "./key_set.ts";
import type { KeySource } from "./key_source.ts";
import { RemoteKeys } from "./remote_keys.ts";
import { SecretKey } from "./secret_key.ts";

export type KeyOptions =
  /** A shared secret of 32 bytes or more; a string counts as its UTF-8 bytes. */
  | { readonly kind: "secret"; readonly secret: string | Uint8Array<ArrayBuffer> }
  /** A key set that somebody has. */
  | { readonly kind: "set"; readonly set: KeySet }
  | KeySetOptions;

export type KeySetOptions =
  /** A key set at a known address. */
  | { readonly kind: "jwks"; readonly url: URL } & RemoteKeyOptions
  /** A key set found from an OIDC issuer's discovery document. */
  | { readonly kind: "issuer"; readonly issuer: string } & RemoteKeyOptions;

export interface RemoteKeyOptions {
  /** Keys older than this are fetched again before they are used. Default 600,000. */
  readonly cacheMaxAgeMs?: number | undefined;
  /** At most one fetch starts in this time, whatever tokens say. Default 30,000. */
  readonly cooldownMs?: number | undefined;
  /** Time that one refresh may take, discovery included. Default 5,000. */
  readonly timeoutMs?: number | undefined;
  readonly fetch?: typeof fetch | undefined;
}

export interface KeySourceOptions {
  readonly clock: Clock;
  readonly log?: Log | undefined;
  /** Ends fetches that are under way. */
  readonly signal?: AbortSignal | undefined;
}

/** Throws where the options can't be right; it fetches nothing yet. */
export function createKeySource(keys: KeyOptions, options: KeySourceOptions): KeySource {
  if (keys.kind === "secret") return new SecretKey(keys.secret);
  return new RemoteKeys(keys.kind === "set" ? keys.set : createKeySet(keys, options));
}

/** Throws where the options can't be right; it fetches nothing yet. */
export function createKeySet(keys: KeySetOptions, options: KeySourceOptions): FetchedKeySet {
  const remote = {
    cacheMaxAgeMs: duration("cacheMaxAgeMs", keys.cacheMaxAgeMs ?? 600_000),
    cooldownMs: duration("cooldownMs", keys.cooldownMs ?? 30_000),
    timeoutMs: duration("timeoutMs", keys.timeoutMs ?? 5_000),
    fetch: keys.fetch ?? fetch,
    ...options,
  };
  const location = keys.kind === "jwks"
    ? fixedLocation(keys.url)
    : discoveredLocation(keys.issuer, remote);
  return new FetchedKeySet(location, remote);
}

function duration(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  throw new RangeError(`${name} must be more than 0 ms, it is ${value}`);
}
