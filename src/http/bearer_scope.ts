// Whom a plain HTTP request acts for: counted by address before its token is verified, by tenant after it.
import type { Context } from "hono";
import { AuthError } from "../auth/auth_error.ts";
import { findCredential } from "../auth/credential.ts";
import type { Scope } from "../auth/scope.ts";
import type { Verifier } from "../auth/verifier.ts";
import { type LimitLedger, type LimitName, limitSentence } from "../limits/limits.ts";
import type { Rates } from "../limits/token_bucket.ts";
import type { Peer } from "../sockets/socket.ts";
import { addressKey, type TrustedProxies } from "./client_address.ts";
import { problem } from "./problem.ts";

export interface BearerOptions {
  readonly verifier: Verifier;
  readonly proxies: TrustedProxies;
  readonly ledger: LimitLedger;
  /** By address, shared with the door: verifying a token costs the same wherever it came in. */
  readonly handshakes: Rates;
  /** By tenant. */
  readonly requests: Rates;
}

/** What an engine tells of the peer beside the request. */
export type Bindings = Peer;

/** The scope of the request's bearer token, or the problem to answer with. */
export async function bearerScope(
  context: Context<{ Bindings: Bindings }>,
  { verifier, proxies, ledger, handshakes, requests }: BearerOptions,
): Promise<Scope | Response> {
  const { raw } = context.req;
  const tooMany = (limit: LimitName, waitMs: number) => {
    ledger.crossed(limit);
    return problem(context, "too_many_requests", {
      retryAfterSeconds: Math.ceil(waitMs / 1_000),
      detail: limitSentence(limit, ledger.values),
    });
  };
  const address = addressKey(proxies.clientOf(context.env.address, raw.headers));
  const addressWaitMs = await handshakes.take(address);
  if (addressWaitMs > 0) return tooMany("handshakes_per_second", addressWaitMs);
  const credential = findCredential({ search: "", headers: raw.headers }, {
    accept: new Set(["header"]),
  });
  if (credential.kind === "ambiguous") return problem(context, "ambiguous_credential");
  if (credential.kind !== "token") return problem(context, "token_missing");
  let scope: Scope;
  try {
    scope = await verifier.verify(credential.token);
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    return problem(context, error.code);
  }
  const tenantWaitMs = await requests.take(scope.tenantId);
  return tenantWaitMs > 0 ? tooMany("requests_per_second", tenantWaitMs) : scope;
}
