// Tokens that try to choose their own key, algorithm or address; each is refused and none makes us ask anybody.
import assert from "node:assert/strict";
import { exportSPKI, importJWK } from "jose";
import type { Verifier } from "../../src/auth/verifier.ts";
import {
  generateSigner,
  secretSigner,
  type Signer,
  signRaw,
  signToken,
  TEST_SECRET,
} from "../support/tokens.ts";
import { LoopbackIssuer } from "./loopback_issuer.ts";
import { refuses, verifierWith } from "./verifier_fixture.ts";

const honest = await generateSigner("RS256", "key-1");
const attacker = await generateSigner("RS256", "key-1");

async function setUp(keys = [honest.jwk]) {
  const issuer = new LoopbackIssuer(keys);
  const verifier = verifierWith({ keys: { kind: "jwks", url: issuer.jwksUrl } });
  await verifier.verify(await signToken({}, { signer: honest }));
  return { issuer, verifier };
}

/** The allow-list must refuse the token itself, before any key is looked for. */
async function refusesAlgorithm(verifier: Verifier, token: string): Promise<void> {
  const { cause } = await refuses(verifier, token);
  assert.match(String(cause), /ERR_JOSE_ALG_NOT_ALLOWED/);
}

Deno.test("a public key of the issuer, in any form, is no secret that HS256 could use", async () => {
  const { issuer, verifier } = await setUp();
  await using _ = issuer;
  const pem = await exportSPKI(
    await importJWK(honest.jwk, "RS256", { extractable: true }) as CryptoKey,
  );
  const secrets = [pem, pem.trim(), pem + "\n", JSON.stringify(honest.jwk), honest.jwk.n!];
  for (const secret of secrets) {
    for (const kid of ["key-1", undefined, "other"]) {
      const token = await signToken({}, { signer: secretSigner(secret, kid) });
      await refusesAlgorithm(verifier, token);
    }
  }
});

Deno.test("a symmetric key in a key set verifies nothing", async () => {
  const oct = { ...secretSigner(TEST_SECRET, "key-s"), alg: "HS256" };
  const { issuer, verifier } = await setUp([honest.jwk, {
    ...oct.jwk,
    kid: "key-s",
    alg: "HS256",
  }]);
  await using _ = issuer;
  await refusesAlgorithm(verifier, await signToken({}, { signer: oct }));
});

Deno.test("an unsigned token is refused by a key set", async () => {
  const { issuer, verifier } = await setUp();
  await using _ = issuer;
  const [, payload, signature] = (await signToken({}, { signer: honest })).split(".");
  const header = btoa('{"alg":"none","kid":"key-1"}').replaceAll("=", "");
  await refuses(verifier, `${header}.${payload}.`);
  await refusesAlgorithm(verifier, `${header}.${payload}.${signature}`);
});

Deno.test("an asymmetric token is refused where the key is a secret", async () => {
  await refusesAlgorithm(verifierWith(), await signToken({}, { signer: honest }));
});

Deno.test("a key or an address in the token's header is never used nor asked", async () => {
  const { issuer, verifier } = await setUp();
  await using _ = issuer;
  await using lure = new LoopbackIssuer([attacker.jwk]);
  const address = lure.jwksUrl.href;
  const headers = [
    { jwk: attacker.jwk },
    { jku: address },
    { x5u: address },
    { jku: address, jwk: attacker.jwk, x5u: address, kid: address },
    { x5c: ["MIIB"] },
  ];
  for (const header of headers) {
    for (const kid of ["key-1", "unknown", undefined]) {
      const signer: Signer = { ...attacker, kid };
      await refuses(verifier, await signToken({}, { signer, header }));
    }
    await refuses(verifierWith(), await signToken({}, { signer: attacker, header }));
  }
  assert.deepEqual(lure.requests, []);
  assert.equal(issuer.requests.length, 1);
});

Deno.test("a kid that is a path, a URL, a query or no string at all finds no key", async () => {
  const { issuer, verifier } = await setUp();
  await using _ = issuer;
  await using lure = new LoopbackIssuer([attacker.jwk]);
  const kids: unknown[] = [
    "../../../../dev/null",
    "/proc/self/environ",
    "file:///dev/null",
    lure.jwksUrl.href,
    "key-1' OR '1'='1",
    "key-1\u0000",
    "__proto__",
    "constructor",
    "",
    0,
    null,
    ["key-1"],
    { toString: "key-1" },
    "x".repeat(4_000),
  ];
  for (const kid of kids) {
    await refuses(verifier, await signToken({}, { signer: attacker, header: { kid } }));
    await refuses(verifier, await signToken({}, { signer: honest, header: { kid } }));
    // HMAC with an empty key is what a kid that reads an empty file would give.
    await refuses(verifier, await signRaw(JSON.stringify({ alg: "HS256", kid }), "{}", "\u0000"));
  }
  assert.deepEqual(lure.requests, []);
  assert.equal(issuer.requests.length, 1);
});

Deno.test("a key of another kind under the right kid verifies nothing", async () => {
  const { issuer, verifier } = await setUp();
  await using _ = issuer;
  for (const alg of ["ES256", "EdDSA", "PS256", "RS512"]) {
    await refuses(verifier, await signToken({}, { signer: await generateSigner(alg, "key-1") }));
  }
});
