// Signs tokens for developers with the shared secret; it must never sign where an issuer does, which its caller sees to.
import { SignJWT } from "jose";
import type { Clock } from "../clock.ts";

export interface DevelopmentTokenOptions {
  readonly secret: string;
  readonly tenantClaim: string;
  readonly roleClaim: string;
  readonly tenantId: string;
  readonly role: string;
  readonly userId: string;
  readonly lifetimeMs: number;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
  readonly clock: Clock;
}

/** An HS256 token with whole seconds, of which the last is counted in. */
export function signDevelopmentToken(options: DevelopmentTokenOptions): Promise<string> {
  const { tenantClaim, roleClaim, tenantId, role, userId, issuer, audience } = options;
  const issuedAt = Math.floor(options.clock.now() / 1_000);
  const token = new SignJWT({ [tenantClaim]: tenantId, [roleClaim]: role })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(userId)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + Math.ceil(options.lifetimeMs / 1_000));
  if (issuer !== undefined) token.setIssuer(issuer);
  if (audience !== undefined) token.setAudience(audience);
  return token.sign(new TextEncoder().encode(options.secret));
}
