// Prints a development token; it must print none that the service would refuse, and none where an issuer signs.
import { AuthError } from "../auth/auth_error.ts";
import { signDevelopmentToken } from "../auth/development_token.ts";
import { systemClock as clock } from "../clock.ts";
import { readConfig } from "../config.ts";
import { verifierFromConfig } from "../verifier_from_config.ts";
import { durationMs } from "./duration.ts";
import type { Flags } from "./parse_command.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage_error.ts";

/** A week: what is to live longer is no matter of development. */
const MAX_LIFETIME_MS = 7 * 86_400_000;

/** Throws UsageError and ConfigError. */
export async function tokenCommand(flags: Flags, terminal: Terminal): Promise<number> {
  const tenantId = flags.text("tenant");
  if (tenantId === undefined) throw new UsageError("Flag --tenant is missing: whose token is it");
  const ttl = flags.text("ttl") ?? "1h";
  const lifetimeMs = durationMs(ttl);
  if (lifetimeMs === null || lifetimeMs > MAX_LIFETIME_MS) {
    throw new UsageError(`Flag --ttl must be above 0 and at most 7d, it is ${ttl}`);
  }
  const config = readConfig();
  const secret = config.JWT_SECRET;
  if (secret === undefined) {
    await terminal.complain(
      "Cannot sign a token: JWT_SECRET is not set, the issuer signs those that this service takes",
    );
    return 1;
  }
  const token = await signDevelopmentToken({
    secret,
    tenantClaim: config.JWT_TENANT_CLAIM,
    roleClaim: config.JWT_ROLE_CLAIM,
    tenantId,
    role: flags.text("role") ?? config.ALLOWED_ROLES[0] ?? "",
    userId: flags.text("user") ?? "developer",
    lifetimeMs,
    issuer: config.JWT_ISSUER,
    audience: config.JWT_AUDIENCE,
    clock,
  });
  try {
    await verifierFromConfig(config, { clock }).verify(token);
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    throw new UsageError(`Service would refuse this token: ${error.message}`);
  }
  await terminal.print(token);
  return 0;
}
