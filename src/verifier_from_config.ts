// Makes the verifier that the settings name, for whoever judges or tries tokens, and the key set that several may share; it
// must know no other way to a key.
import { createKeySet, type KeyOptions, type KeySetOptions } from "./auth/create_key_source.ts";
import type { FetchedKeySet } from "./auth/fetched_key_set.ts";
import type { KeySet } from "./auth/key_set.ts";
import { createVerifier, type Verifier, type VerifierOptions } from "./auth/verifier.ts";
import type { Config } from "./config.ts";

type Deps = Pick<VerifierOptions, "clock" | "log" | "signal">;

/** Fetches no keys yet. Throws where the settings can't be meant. */
export function verifierFromConfig(
  config: Config,
  { keySet = null, ...deps }: Deps & {
    /** Has the issuer's keys; where nobody does the verifier has a key set of its own. */
    readonly keySet?: KeySet | null;
  },
): Verifier {
  const keys = keysOf(config);
  return createVerifier({
    keys: keys.kind === "secret" || keySet === null ? keys : { kind: "set", set: keySet },
    issuer: config.JWT_ISSUER ?? (keys.kind === "issuer" ? keys.issuer : undefined),
    audience: config.JWT_AUDIENCE,
    clockToleranceSeconds: config.JWT_CLOCK_TOLERANCE_SECONDS,
    tenantClaim: config.JWT_TENANT_CLAIM,
    roleClaim: config.JWT_ROLE_CLAIM,
    allowedRoles: config.ALLOWED_ROLES,
    ...deps,
  });
}

/** Null where a secret verifies tokens. It fetches nothing yet; throws where the settings can't be meant. */
export function keySetFromConfig(config: Config, deps: Deps): FetchedKeySet | null {
  const keys = keysOf(config);
  return keys.kind === "secret" ? null : createKeySet(keys, deps);
}

function keysOf(config: Config): Extract<KeyOptions, { kind: "secret" }> | KeySetOptions {
  if (config.JWKS_URL !== undefined) return { kind: "jwks", url: new URL(config.JWKS_URL) };
  if (config.OIDC_ISSUER !== undefined) return { kind: "issuer", issuer: config.OIDC_ISSUER };
  if (config.JWT_SECRET !== undefined) return { kind: "secret", secret: config.JWT_SECRET };
  throw new Error("No key to verify tokens with is set");
}
