// Tokens of the tenants that benches serve, made before anything is measured.
import { type Signer, signToken } from "../tests/support/tokens.ts";
import { tenantName } from "./load/names.ts";

/** One for each tenant. */
export function tenantTokens(tenants: number, signer?: Signer): Promise<string[]> {
  return Promise.all(
    Array.from(
      { length: tenants },
      (_, nth) => signToken({ tenant_id: tenantName(nth) }, signer === undefined ? {} : { signer }),
    ),
  );
}

/** So many that differ, of one tenant. */
export async function differentTokens(count: number, signer?: Signer): Promise<string[]> {
  const tokens: string[] = [];
  for (let nth = 0; nth < count; nth++) {
    tokens.push(
      await signToken(
        { tenant_id: tenantName(0), sub: `user-${nth}`, jti: crypto.randomUUID() },
        signer === undefined ? {} : { signer },
      ),
    );
  }
  return tokens;
}
