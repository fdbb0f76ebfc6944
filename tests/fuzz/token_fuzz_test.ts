// Damaged, random and self-serving tokens: each is refused with an AuthError or gives the very scope that was signed,
// and nothing else is ever thrown.
import assert from "node:assert/strict";
import fc from "fast-check";
import { AuthError } from "../../src/auth/auth_error.ts";
import type { Scope } from "../../src/auth/scope.ts";
import type { Verifier } from "../../src/auth/verifier.ts";
import { verifierWith } from "../auth/verifier_fixture.ts";
import { LoopbackIssuer } from "../auth/loopback_issuer.ts";
import { generateSigner, signRaw, signToken } from "../support/tokens.ts";
import { mutateText, mutations } from "./mutation.ts";
import { holds } from "./seeded.ts";

const CODES = ["token_missing", "invalid_token", "not_allowed", "keys_unavailable"];

/** The scope, or null when the token was refused as tokens are. */
async function judge(verifier: Verifier, token: string): Promise<Scope | null> {
  try {
    return await verifier.verify(token);
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    assert(CODES.includes(error.code));
    return null;
  }
}

const part = fc.stringMatching(/^[A-Za-z0-9_-]{0,60}$/);
const SPLICES = ["eyJhbGciOiJub25lIn0", ".", "..", "=", "-", "_", "A", "%2e", "\u0000", "é"];

Deno.test("A damaged token is refused or gives the very scope that was signed", async () => {
  const signer = await generateSigner("ES256", "key-1");
  await using issuer = new LoopbackIssuer([signer.jwk]);
  const kinds = [
    { verifier: verifierWith(), token: await signToken() },
    {
      verifier: verifierWith({ keys: { kind: "jwks", url: issuer.jwksUrl } }),
      token: await signToken({}, { signer }),
    },
  ];
  for (const { verifier, token } of kinds) {
    const signed = await verifier.verify(token);
    await holds(
      fc.asyncProperty(mutations(SPLICES, { maxLength: 3 }), async (steps) => {
        const scope = await judge(verifier, mutateText(token, steps));
        if (scope !== null) assert.deepEqual(scope, signed);
      }),
      { numRuns: 1_000 },
    );
  }
});

Deno.test("Two tokens' parts in any mixture give no scope but one that was signed", async () => {
  const verifier = verifierWith();
  const tokens = await Promise.all([
    signToken(),
    signToken({ tenant_id: "globex" }),
    signToken({ role: "none" }),
    signToken({ exp: 1 }),
  ]);
  const parts = tokens.map((token) => token.split("."));
  const mixture = fc.tuple(...[0, 1, 2].map(() => fc.nat({ max: tokens.length - 1 })));
  await holds(
    fc.asyncProperty(mixture, async (choice) => {
      const token = choice.map((from, index) => parts[from]?.[index]).join(".");
      const scope = await judge(verifier, token);
      // The headers are all the same, so that a signature fits its payload whoever's header it has.
      if (scope !== null) assert(choice[1] === choice[2] && choice[1]! <= 1);
    }),
    { numRuns: 100 },
  );
});

Deno.test("Any text at all is refused as a token", async () => {
  const verifier = verifierWith();
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300, size: "max" }),
    fc.tuple(part, part, part).map((parts) => parts.join(".")),
    fc.array(part, { maxLength: 6 }).map((parts) => parts.join(".")),
    fc.integer({ min: 8_000, max: 9_000 }).map((length) => `${"a".repeat(length)}.b.c`),
  );
  await holds(
    fc.asyncProperty(text, async (token) => assert.equal(await judge(verifier, token), null)),
    { numRuns: 2_000 },
  );
});

Deno.test("A header may name any algorithm, key, address or critical extension: only HS256 alone gives a scope", async () => {
  const verifier = verifierWith();
  const payload = (await signToken()).split(".")[1]!;
  const claims = new TextDecoder().decode(
    Uint8Array.fromBase64(payload, { alphabet: "base64url" }),
  );
  const address = fc.constantFrom("http://127.0.0.1:1/", "file:///etc/passwd", "../../x", 7, null);
  const header = fc.record({
    alg: fc.oneof(
      { weight: 4, arbitrary: fc.constant("HS256") },
      fc.constantFrom("none", "None", "hs256", "HS384", "HS512", "RS256", "ES256", "dir", "", null),
      fc.jsonValue({ maxDepth: 1 }),
    ),
    typ: fc.constantFrom("JWT", "at+jwt", "", 1),
    kid: fc.oneof(address, fc.string()),
    jku: address,
    x5u: address,
    jwk: fc.constantFrom({ kty: "oct", k: "AAAA" }, {}, null),
    crit: fc.constantFrom(["b64"], ["exp"], ["x"], [], "b64", null, [1]),
    b64: fc.constantFrom(true, false, "false"),
    zip: fc.constantFrom("DEF", null),
    cty: fc.constantFrom("JWT", 1),
  }, { requiredKeys: ["alg"] });
  let accepted = 0;
  await holds(
    fc.asyncProperty(header, async (fields) => {
      const scope = await judge(verifier, await signRaw(JSON.stringify(fields), claims));
      if (scope === null) return;
      accepted++;
      assert.equal(fields.alg, "HS256");
      // Of RFC 7797 only the value that changes nothing may be critical.
      const isUnderstood = fields.b64 === true && String(fields.crit) === "b64";
      assert(!("crit" in fields) || isUnderstood, `${JSON.stringify(fields)} was accepted`);
      assert.equal(scope.tenantId, "acme");
    }),
    { numRuns: 1_500 },
  );
  assert(accepted > 0, "no header at all was accepted");
});

Deno.test("Whatever claims are signed, a scope holds a tenant id that can be nothing else", async () => {
  const verifier = verifierWith();
  const now = Math.floor(Date.now() / 1_000);
  const claims = fc.record({
    tenant_id: fc.oneof(
      fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/),
      fc.integer({ min: 62, max: 67 }).map((length) => "a".repeat(length)),
      fc.string({ unit: "binary", maxLength: 70, size: "max" }),
      fc.jsonValue({ maxDepth: 1 }),
    ),
    role: fc.oneof(fc.constantFrom("customer_viewer", ["x", "customer_admin"]), fc.jsonValue()),
    sub: fc.oneof(fc.string({ unit: "binary" }), fc.jsonValue({ maxDepth: 1 })),
    email: fc.oneof(fc.string({ unit: "binary", maxLength: 400, size: "max" }), fc.jsonValue()),
    exp: fc.oneof(
      { weight: 4, arbitrary: fc.constant(now + 600) },
      fc.double(),
      fc.jsonValue({ maxDepth: 0 }),
    ),
    iat: fc.oneof({ weight: 4, arbitrary: fc.constant(now) }, fc.double()),
    nbf: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.double()),
  }, { requiredKeys: ["tenant_id", "role", "exp"] });
  let accepted = 0;
  await holds(
    fc.asyncProperty(claims, async (fields) => {
      const token = await signRaw('{"alg":"HS256"}', JSON.stringify(fields));
      const scope = await judge(verifier, token);
      if (scope === null) return;
      accepted++;
      assert.match(scope.tenantId, /^[A-Za-z0-9_-]{1,64}$/);
      assert(["customer_viewer", "customer_admin"].includes(scope.role));
      assert(scope.expiresAt > Date.now() - 60_000);
      assert(scope.email === null || !/[\p{Cc}\u2028\u2029]/u.test(scope.email));
      assert((scope.email ?? "").length <= 254);
    }),
    { numRuns: 1_500 },
  );
  assert(accepted > 0, "no claims at all were accepted");
});
