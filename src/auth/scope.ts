// Who a connection acts for, read from a token's claims; it must never carry a claim on to the rest.
import { AuthError } from "./auth_error.ts";
import { findClaim } from "./find_claim.ts";

/** All that a verified token says to the rooms after auth. */
export interface Scope {
  readonly tenantId: string;
  /** The claim `sub`, or `""` where the token has none. */
  readonly userId: string;
  /** For logs and people only: no control characters, at most 254 characters. */
  readonly email: string | null;
  /** The first allowed role. */
  readonly role: string;
  /** Milliseconds since the epoch: `exp` plus the clock tolerance; from this instant on the scope is void. */
  readonly expiresAt: number;
}

export interface ScopeRules {
  readonly tenantClaim: string;
  readonly roleClaim: string;
  readonly allowedRoles: readonly string[];
  readonly clockToleranceSeconds: number;
}

export type Claims = Readonly<Record<string, unknown>>;

/** A tenant id becomes part of a bucket's name and of settings of the database, so nothing else may pass. */
const TENANT_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** Characters: the longest address that mail can be sent to (RFC 5321). */
const MAX_EMAIL_LENGTH = 254;

/** Milliseconds: the greatest instant that a Date can hold. */
const MAX_INSTANT = 8.64e15;

/** Reads the scope out of claims that were authenticated, or throws AuthError. */
export function scopeOf(claims: Claims, rules: ScopeRules): Scope {
  return Object.freeze({
    expiresAt: expiryOf(claims, rules.clockToleranceSeconds),
    userId: userIdOf(claims),
    tenantId: tenantIdOf(claims, rules.tenantClaim),
    role: roleOf(claims, rules),
    email: emailOf(claims),
  });
}

function expiryOf(claims: Claims, clockToleranceSeconds: number): number {
  const exp = findClaim(claims, "exp");
  const expiresAt = typeof exp === "number"
    ? Math.floor((exp + clockToleranceSeconds) * 1000)
    : Number.NaN;
  if (!(Math.abs(expiresAt) <= MAX_INSTANT)) {
    throw new AuthError("invalid_token", 'Token\'s "exp" is not an instant');
  }
  return expiresAt;
}

function userIdOf(claims: Claims): string {
  const sub = findClaim(claims, "sub");
  if (sub === undefined) return "";
  if (typeof sub === "string") return sub;
  throw new AuthError("invalid_token", `Token's "sub" must be a string, not ${kindOf(sub)}`);
}

function tenantIdOf(claims: Claims, name: string): string {
  const tenantId = findClaim(claims, name);
  if (tenantId === undefined) throw new AuthError("not_allowed", `Token has no claim "${name}"`);
  if (typeof tenantId !== "string") {
    throw new AuthError("not_allowed", `Tenant id must be a string, not ${kindOf(tenantId)}`);
  }
  if (!TENANT_ID.test(tenantId)) {
    throw new AuthError("not_allowed", `Tenant id does not match ${TENANT_ID.source}`);
  }
  return tenantId;
}

function roleOf(claims: Claims, rules: ScopeRules): string {
  const claim = findClaim(claims, rules.roleClaim);
  const roles: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
  for (const role of roles) {
    if (typeof role === "string" && rules.allowedRoles.includes(role)) return role;
  }
  throw new AuthError("not_allowed", `No allowed role stands in the claim "${rules.roleClaim}"`);
}

function emailOf(claims: Claims): string | null {
  for (const name of ["email", "preferred_username"]) {
    const value = findClaim(claims, name);
    if (typeof value !== "string") continue;
    const printable = value.toWellFormed().replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "");
    return printable === "" ? null : printable.slice(0, MAX_EMAIL_LENGTH).toWellFormed();
  }
  return null;
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
