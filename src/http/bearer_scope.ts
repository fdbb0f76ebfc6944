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

type BearerContext = Context<{ Bindings: Bindings }>;

/** The scope of a request that reads, by its bearer token, or the problem to answer with. */
export async function bearerScope(
  context: BearerContext,
  options: BearerOptions,
): Promise<Scope | Response> {
  const scope = await verifiedScope(context, options);
  if (scope instanceof Response) return scope;
  const waitMs = await options.requests.take(scope.tenantId);
  return waitMs > 0
    ? tooMany(context, { limit: "requests_per_second", waitMs, ledger: options.ledger })
    : scope;
}

/** The same of a request that costs the tenant no read. */
export async function verifiedScope(
  context: BearerContext,
  { verifier, proxies, ledger, handshakes }: Omit<BearerOptions, "requests">,
): Promise<Scope | Response> {
  const { raw } = context.req;
  const waitMs = await handshakes.take(
    addressKey(proxies.clientOf(context.env.address, raw.headers)),
  );
  if (waitMs > 0) return tooMany(context, { limit: "handshakes_per_second", waitMs, ledger });
  const credential = findCredential({ search: "", headers: raw.headers }, {
    accept: new Set(["header"]),
  });
  if (credential.kind === "ambiguous") return problem(context, "ambiguous_credential");
  if (credential.kind !== "token") return problem(context, "token_missing");
  try {
    return await verifier.verify(credential.token);
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    return problem(context, error.code);
  }
}

function tooMany(
  context: BearerContext,
  { limit, waitMs, ledger }: {
    readonly limit: LimitName;
    readonly waitMs: number;
    readonly ledger: LimitLedger;
  },
): Response {
  ledger.crossed(limit);
  return problem(context, "too_many_requests", {
    retryAfterSeconds: Math.ceil(waitMs / 1_000),
    detail: limitSentence(limit, ledger.values),
  });
}
