// Checks that there are keys to verify tokens with; it must never show one.
import { verifierFromConfig } from "../verifier_from_config.ts";
import type { CheckContext } from "./check_context.ts";
import { fault, ok, skipped, type Verdict } from "./verdict.ts";

const NAME = "keys";

export async function* checkKeys(context: CheckContext): AsyncGenerator<Verdict> {
  const { config, clock, signal } = context;
  const { JWT_SECRET, OIDC_ISSUER } = config;
  if (JWT_SECRET !== undefined) {
    yield ok(NAME, "JWT_SECRET verifies tokens");
    return;
  }
  const setting = OIDC_ISSUER === undefined ? "JWKS_URL" : "OIDC_ISSUER";
  const verifier = verifierFromConfig(config, { clock, signal });
  if (await verifier.reach()) yield ok(NAME, `${setting} answers with keys`);
  else {
    const cure = OIDC_ISSUER === undefined
      ? "JWKS_URL must be reachable from here and answer with a key set"
      : "OIDC_ISSUER must be the issuer as it calls itself, and reachable from here";
    yield fault(NAME, verifier.state.failure ?? "No keys were found", cure);
  }
  if (config.JWT_AUDIENCE === undefined) {
    yield skipped(
      "audience",
      "tokens that the issuer made for other services are taken, too",
      "set JWT_AUDIENCE",
    );
  }
}
