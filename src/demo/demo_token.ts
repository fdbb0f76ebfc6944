// Signs the tokens that the demo hands out. Demo only: the service itself verifies tokens and never makes one.
import { SignJWT } from "jose";

export interface DemoTokenOptions {
  readonly secret: string;
  readonly tenantId: string;
  /** Seconds until it expires. Default: one hour. */
  readonly lifetimeSeconds?: number;
}

/** A token of a viewer of the tenant. */
export function signDemoToken(
  { secret, tenantId, lifetimeSeconds = 3_600 }: DemoTokenOptions,
): Promise<string> {
  const nowSeconds = Math.floor(Date.now() / 1_000);
  return new SignJWT({
    tenant_id: tenantId,
    role: "customer_viewer",
    email: `demo@${tenantId}.example`,
  })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(`demo-${tenantId}`)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + lifetimeSeconds)
    .sign(new TextEncoder().encode(secret));
}
