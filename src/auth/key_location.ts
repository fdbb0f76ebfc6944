// Knows where an issuer's key set stands; it must never take that from a token.
import type { Clock } from "../clock.ts";
import { fetchJson, nameOf } from "./fetch_json.ts";

/** Where a key set is fetched from; `forget` makes the next `locate` ask afresh. */
export interface KeyLocation {
  /** For logs. */
  readonly name: string;
  locate(signal: AbortSignal): Promise<URL>;
  forget(): void;
}

export interface DiscoveryOptions {
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly cacheMaxAgeMs: number;
}

/** The address of a key set as an operator gave it. */
export function fixedLocation(url: URL): KeyLocation {
  assertHttp(url, "JWKS URL");
  return { name: nameOf(url), locate: () => Promise.resolve(url), forget: () => {} };
}

/** The address that an OIDC issuer's discovery document gives. */
export function discoveredLocation(issuer: string, options: DiscoveryOptions): KeyLocation {
  if (!URL.canParse(issuer)) throw new TypeError("OIDC issuer is not a URL");
  const base = new URL(issuer);
  assertHttp(base, "OIDC issuer");
  if (base.search !== "" || base.hash !== "") {
    throw new TypeError(`OIDC issuer must have no query and no fragment: ${nameOf(base)}`);
  }
  const document = new URL(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  let known: { readonly url: URL; readonly at: number } | null = null;
  return {
    name: nameOf(document),
    async locate(signal) {
      const now = options.clock.now();
      if (known === null || now - known.at >= options.cacheMaxAgeMs) {
        const answer = await fetchJson(document, { fetch: options.fetch, signal });
        known = { url: keySetUrl(answer, issuer), at: now };
      }
      return known.url;
    },
    forget() {
      known = null;
    },
  };
}

function keySetUrl(document: unknown, issuer: string): URL {
  const { issuer: named, jwks_uri: address } = (document ?? {}) as Record<string, unknown>;
  if (named !== issuer) {
    throw new Error(
      `Discovery document is not the issuer's: "issuer" is ${
        JSON.stringify(named)
      }, expected "${issuer}"`,
    );
  }
  if (typeof address !== "string" || !URL.canParse(address)) {
    throw new Error('Discovery document has no "jwks_uri" that is a URL');
  }
  const url = new URL(address);
  assertHttp(url, "jwks_uri");
  if (new URL(issuer).protocol === "https:" && url.protocol !== "https:") {
    throw new Error(`Discovery document leads from https to http: "jwks_uri" is ${nameOf(url)}`);
  }
  return url;
}

function assertHttp(url: URL, what: string): void {
  if (url.protocol === "https:" || url.protocol === "http:") return;
  throw new TypeError(`${what} must be http or https, its scheme is "${url.protocol}"`);
}
