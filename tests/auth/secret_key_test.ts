// Tokens signed with a shared secret: what verifies them here is held against jose's own verification.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { base64url, jwtVerify } from "jose";
import { SecretKey } from "../../src/auth/secret_key.ts";
import { secretSigner, signPayload, TEST_SECRET } from "../support/tokens.ts";
import { refuses, verifierWith } from "./verifier_fixture.ts";

const NOW_S = 1_800_000_000;
const RULES = {
  audience: ["pulsewire", "others"],
  clockTolerance: 5,
  currentDate: new Date(NOW_S * 1_000),
  issuer: "https://issuer.example",
};

/** A claim that fits, one beside the mark, or something that no claim may be. */
const instant = fc.oneof(
  fc.integer({ min: NOW_S - 10, max: NOW_S + 10 }),
  fc.constantFrom<unknown>(NOW_S + 0.5, "soon", null, undefined, -1),
);
const claims = fc.record({
  exp: fc.oneof(fc.constant(NOW_S + 60), instant),
  nbf: fc.oneof(fc.constant(undefined), instant),
  iat: fc.oneof(fc.constant(undefined), instant),
  iss: fc.oneof(fc.constant(RULES.issuer), fc.constantFrom<unknown>("x", 1, undefined)),
  aud: fc.oneof(
    fc.constantFrom<unknown>("pulsewire", ["x", "others"]),
    fc.constantFrom<unknown>("x", [], [1], 1, undefined),
  ),
});
const payload = fc.oneof(
  { weight: 8, arbitrary: claims.map((claims) => JSON.stringify(claims)) },
  fc.constantFrom("[]", "null", "1", "", "{", '{"exp":1}', '{"exp":"\ud800"}'),
);
const header = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('{"alg":"HS256"}', '{"typ":"JWT","alg":"HS256"}') },
  fc.constantFrom('{"alg":"none"}', '{"alg":"HS512"}', "{}", "[]", "x", "null", '{"alg":1}'),
  fc.constantFrom('{"alg":"HS256","crit":[]}', '{"alg":"HS256","crit":["x"],"x":1}'),
);
const signature = fc.oneof(
  { weight: 6, arbitrary: fc.constant((right: string) => right) },
  fc.constantFrom(
    (right: string) => right.slice(1),
    (right: string) => `${right}A`,
    (right: string) => right[0] === "A" ? `B${right.slice(1)}` : `A${right.slice(1)}`,
    () => base64url.encode("short"),
  ),
);

Deno.test("a token is taken exactly where jose's own verification takes it, with the same claims", async () => {
  const secret = new TextEncoder().encode(TEST_SECRET);
  const key = new SecretKey(secret);
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(header, payload, signature, async (header, payload, change) => {
      const signed = `${base64url.encode(header)}.${base64url.encode(payload)}`;
      const right = createHmac("sha256", secret).update(signed).digest("base64url");
      const token = `${signed}.${change(right)}`;
      const due = await jwtVerify(token, secret, { ...RULES, algorithms: ["HS256"] })
        .then(({ payload }) => payload, () => null);
      let given = null;
      try {
        given = key.authenticate(token, RULES).claims;
      } catch { /* Refused. */ }
      assert.deepEqual(given, due);
      if (due !== null) taken++;
    }),
    { numRuns: 2_000 },
  );
  assert.ok(taken > 20, `only ${taken} of them were right`);
});

Deno.test("a header is looked at also where the one before it was right", async () => {
  const verifier = verifierWith();
  const payload = JSON.stringify({
    exp: Math.floor(Date.now() / 1_000) + 60,
    tenant_id: "acme",
    role: "customer_admin",
  });
  const signed = (header: string) => {
    const text = `${base64url.encode(header)}.${base64url.encode(payload)}`;
    return `${text}.${createHmac("sha256", TEST_SECRET).update(text).digest("base64url")}`;
  };
  await verifier.verify(await signPayload(payload, { signer: secretSigner(TEST_SECRET) }));
  for (
    const header of ['{"alg":"none"}', '{"alg":"HS256","alg":"HS256"}', '{"alg":"HS256","crit":[]}']
  ) {
    await refuses(verifier, signed(header));
  }
  await verifier.verify(signed('{"alg":"HS256"}'));
});
