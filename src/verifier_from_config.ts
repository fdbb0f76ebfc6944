// Makes the verifier that the settings name, for whoever judges or tries tokens; it must know no other way to a key.
import type { KeyOptions } from "./auth/create_key_source.ts";
import { createVerifier, type Verifier, type VerifierOptions } from "./auth/verifier.ts";
import type { Config } from "./config.ts";

/** Fetches no keys yet. Throws where the settings can't be meant. */
export function verifierFromConfig(
  config: Config,
  deps: Pick<VerifierOptions, "clock" | "log" | "signal">,
): Verifier {
  return createVerifier({
    keys: keysOf(config),
    issuer: config.JWT_ISSUER,
    audience: config.JWT_AUDIENCE,
    clockToleranceSeconds: config.JWT_CLOCK_TOLERANCE_SECONDS,
    tenantClaim: config.JWT_TENANT_CLAIM,
    roleClaim: config.JWT_ROLE_CLAIM,
    allowedRoles: config.ALLOWED_ROLES,
    ...deps,
  });
}

function keysOf(config: Config): KeyOptions {
  if (config.JWKS_URL !== undefined) return { kind: "jwks", url: new URL(config.JWKS_URL) };
  if (config.OIDC_ISSUER !== undefined) return { kind: "issuer", issuer: config.OIDC_ISSUER };
  if (config.JWT_SECRET !== undefined) return { kind: "secret", secret: config.JWT_SECRET };
  throw new Error("No key to verify tokens with is set");
}
