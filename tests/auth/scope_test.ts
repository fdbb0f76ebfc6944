// What of a token's claims becomes a scope, and which claims come in no further.
import assert from "node:assert/strict";
import { type ScopeRules } from "../../src/auth/scope.ts";
import { AuthError } from "../../src/auth/auth_error.ts";
import { findClaim } from "../../src/auth/find_claim.ts";
import { scopeOf } from "../../src/auth/scope.ts";

const RULES: ScopeRules = {
  tenantClaim: "tenant_id",
  roleClaim: "role",
  allowedRoles: ["customer_admin", "customer_viewer"],
  clockToleranceSeconds: 5,
};

const CLAIMS = { exp: 1000, sub: "user-1", tenant_id: "acme", role: "customer_viewer" };

function read(claims: Record<string, unknown>, rules: Partial<ScopeRules> = {}) {
  return scopeOf({ ...CLAIMS, ...claims }, { ...RULES, ...rules });
}

function refused(claims: Record<string, unknown>, code: string, rules: Partial<ScopeRules> = {}) {
  assert.throws(
    () => read(claims, rules),
    (error) => error instanceof AuthError && error.code === code,
    Deno.inspect(claims),
  );
}

Deno.test("a scope holds tenant, user, role, email and expiry, and is frozen", () => {
  const scope = read({ email: "user@example.com", admin: true });
  assert.deepEqual(scope, {
    expiresAt: 1_005_000,
    userId: "user-1",
    tenantId: "acme",
    role: "customer_viewer",
    email: "user@example.com",
  });
  assert.ok(Object.isFrozen(scope));
});

Deno.test("a token without a subject has the empty user id", () => {
  assert.equal(read({ sub: undefined }).userId, "");
});

Deno.test("a subject that is no string is refused, so that no two users become one", () => {
  for (const sub of [7, null, ["user-1"], {}]) refused({ sub }, "invalid_token");
});

Deno.test("an expiry that no date can hold is refused", () => {
  for (const exp of [Infinity, -Infinity, 1e300, 8.64e12, Number.NaN, "1000", null, undefined]) {
    refused({ exp }, "invalid_token");
  }
});

Deno.test("a tenant id of 1 to 64 letters, digits, _ and - is taken as it is", () => {
  for (const tenantId of ["a", "A-b_9", "-", "x".repeat(64)]) {
    assert.equal(read({ tenant_id: tenantId }).tenantId, tenantId);
  }
});

Deno.test("a tenant id that could name another bucket or leave a query is not allowed", () => {
  const hostile = [
    "",
    "x".repeat(65),
    "acme\n",
    "\nacme",
    "acme\r",
    "acme\u2028",
    "acme\u0000",
    "ac me",
    " acme",
    "../globex",
    "acme/globex",
    "acme\\",
    "acme.globex",
    "acme'--",
    'acme"',
    "acme;",
    "acme$1",
    "acme%",
    "*",
    "\u0430cme", // Cyrillic a
    "acm\u00e9",
    "\uff41cme", // full-width a
    "acme\u200b",
    "\u202eacme",
    "acme\ud800",
  ];
  for (const tenantId of hostile) refused({ tenant_id: tenantId }, "not_allowed");
});

Deno.test("a tenant id of another kind than a string is not allowed, however it would print", () => {
  for (const tenantId of [undefined, null, 42, true, ["acme"], [], { toString: "acme" }, {}]) {
    refused({ tenant_id: tenantId }, "not_allowed");
  }
});

Deno.test("a role may be a string or an array, and the first allowed one is held", () => {
  assert.equal(read({ role: "customer_admin" }).role, "customer_admin");
  assert.equal(
    read({ role: [7, null, "offline", "customer_viewer", "customer_admin"] }).role,
    "customer_viewer",
  );
});

Deno.test("a role that is not among the allowed is not allowed", () => {
  const roles = [undefined, null, "", "operator", "CUSTOMER_ADMIN", "customer_admin ", 1, {}, []];
  for (const role of roles) refused({ role }, "not_allowed");
  for (const role of [["operator"], [["customer_admin"]], "customer_admin,customer_viewer"]) {
    refused({ role }, "not_allowed");
  }
});

Deno.test("a claim's name is tried as it stands and then as a dotted path", () => {
  const rules = { tenantClaim: "https://example.com/tenant", roleClaim: "realm_access.roles" };
  const claims = {
    "https://example.com/tenant": "globex",
    realm_access: { roles: ["customer_admin"] },
  };
  assert.equal(read(claims, rules).tenantId, "globex");
  assert.equal(read(claims, rules).role, "customer_admin");
  const both = { "realm_access.roles": ["customer_viewer"], ...claims };
  assert.equal(read(both, rules).role, "customer_viewer");
});

Deno.test("a claim is never found on a prototype, in an array or in a string", () => {
  const steps = ["constructor.name", "__proto__", "toString", "list.0", "list.length", "text.0"];
  for (const tenantClaim of [...steps, "", ".", "text.", ".text", "none.at.all", "empty.x"]) {
    refused({ list: ["acme"], text: "acme", empty: null }, "not_allowed", { tenantClaim });
  }
});

Deno.test("a name that every object inherits names no claim", () => {
  for (const name of ["toString", "constructor", "__proto__", "a.toString", "a.__proto__"]) {
    assert.equal(findClaim({ a: {} }, name), undefined, name);
  }
});

Deno.test("the email falls back to the preferred user name, and to null", () => {
  assert.equal(read({ email: "a@b.c", preferred_username: "ab" }).email, "a@b.c");
  assert.equal(read({ email: 7, preferred_username: "ab" }).email, "ab");
  assert.equal(read({}).email, null);
  assert.equal(read({ email: "" }).email, null);
});

Deno.test("the email can't forge a log line", () => {
  const email = read({ email: "a\n\u001b[31mb\u0085c\u202ed\u2028e@f" }).email;
  assert.equal(email, "a[31mbcde@f");
  const long = read({ email: "x".repeat(253) + "\u{1f600}" }).email;
  assert.equal(long?.length, 254);
  assert.ok(long?.isWellFormed());
});
