// A token whose signature was verified before: it passes without a second look at its signature and with all others.
import assert from "node:assert/strict";
import { Hmac } from "node:crypto";
import {
  digestOf,
  MAX_REMEMBERED_TOKENS,
  RememberedTokens,
} from "../../src/auth/remembered_tokens.ts";
import type { VerifierOptions } from "../../src/auth/verifier.ts";
import { generateSigner, type SignOptions, signToken } from "../support/tokens.ts";
import { LoopbackIssuer } from "./loopback_issuer.ts";
import { HandClock, refuses, verifierWith } from "./verifier_fixture.ts";

const CACHE_MAX_AGE_MS = 600_000;
const COOLDOWN_MS = 30_000;

const first = await generateSigner("RS256", "key-1");
const second = await generateSigner("RS256", "key-2");

/** Counts how often a signature is verified while the work runs. */
async function verifications(work: () => Promise<unknown>): Promise<number> {
  const { subtle } = crypto;
  const { verify } = subtle;
  const { digest } = Hmac.prototype;
  let count = 0;
  subtle.verify = function (...args: Parameters<SubtleCrypto["verify"]>) {
    count++;
    return verify.apply(subtle, args);
  } as typeof verify;
  Hmac.prototype.digest = function (this: Hmac, ...args: unknown[]) {
    count++;
    return Reflect.apply(digest, this, args);
  } as typeof digest;
  try {
    await work();
  } finally {
    Reflect.deleteProperty(subtle, "verify");
    Hmac.prototype.digest = digest;
  }
  assert.equal(subtle.verify, verify);
  return count;
}

function withSecret(options: Partial<VerifierOptions> = {}) {
  const clock = new HandClock();
  const sign = (claims: Record<string, unknown> = {}) => signToken(claims, { nowMs: clock.nowMs });
  return { clock, verifier: verifierWith({ clock, ...options }), sign };
}

function withIssuer() {
  const issuer = new LoopbackIssuer([first.jwk]);
  const clock = new HandClock();
  const verifier = verifierWith({ keys: { kind: "jwks", url: issuer.jwksUrl }, clock });
  const sign = (by: SignOptions = {}) =>
    signToken({ exp: clock.nowMs / 1000 + 86_400 }, { signer: first, nowMs: clock.nowMs, ...by });
  return { issuer, clock, verifier, sign };
}

Deno.test("a token's signature is verified once, and its scope is the same each time", async () => {
  const { verifier, sign } = withSecret();
  const token = await sign();
  const scopes: unknown[] = [];
  const count = await verifications(async () => {
    for (let nth = 0; nth < 5; nth++) scopes.push(await verifier.verify(token));
  });
  assert.equal(count, 1);
  for (const scope of scopes) assert.deepEqual(scope, scopes[0]);
});

Deno.test("a token of an issuer's is verified once, too", async () => {
  const { issuer, verifier, sign } = withIssuer();
  await using _ = issuer;
  const token = await sign();
  const count = await verifications(async () => {
    for (let nth = 0; nth < 5; nth++) await verifier.verify(token);
  });
  assert.equal(count, 1);
});

Deno.test("who come with one token at once share its verification, and its refusal", async () => {
  const { issuer, verifier, sign } = withIssuer();
  await using _ = issuer;
  const token = await sign();
  const all = <Result>(work: () => Promise<Result>) =>
    Promise.all(Array.from({ length: 20 }, work));
  assert.equal(await verifications(() => all(() => verifier.verify(token))), 1);
  const forged = `${token.slice(0, token.lastIndexOf("."))}.${"A".repeat(342)}`;
  assert.equal(await verifications(() => all(() => refuses(verifier, forged))), 1);
});

Deno.test("what was refused is not remembered", async () => {
  const { verifier, sign } = withSecret();
  const forged = (await sign()).replace(/\.[^.]+$/, `.${"A".repeat(43)}`);
  const count = await verifications(async () => {
    for (let nth = 0; nth < 3; nth++) await refuses(verifier, forged);
  });
  assert.equal(count, 3);
  const stranger = await sign({ role: "nobody" });
  for (let nth = 0; nth < 2; nth++) await refuses(verifier, stranger, "not_allowed");
});

Deno.test("a token with the payload of one that was seen, and another signature, is refused", async () => {
  const { verifier, sign } = withSecret();
  const token = await sign();
  await verifier.verify(token);
  const [header, payload, signature = ""] = token.split(".");
  const other = `${signature[0] === "A" ? "B" : "A"}${signature.slice(1)}`;
  await refuses(verifier, `${header}.${payload}.${other}`);
  await verifier.verify(token);
});

Deno.test("tokens of two tenants and users give each its own scope, however they come", async () => {
  const { verifier, sign } = withSecret();
  const tokens = await Promise.all(
    ["acme", "globex"].flatMap((tenant_id) =>
      ["ann", "bob"].map(async (sub) => ({ tenant_id, sub, token: await sign({ tenant_id, sub }) }))
    ),
  );
  const rounds = Array.from({ length: 5 }, () => tokens).flat();
  await Promise.all(rounds.map(async ({ tenant_id, sub, token }) => {
    const { tenantId, userId } = await verifier.verify(token);
    assert.deepEqual([tenantId, userId], [tenant_id, sub]);
  }));
});

Deno.test("a token that was seen is refused from its expiry on, to the millisecond", async () => {
  const { clock, verifier, sign } = withSecret({ clockToleranceSeconds: 5 });
  const expiresAt = clock.nowMs + 60_000 + 5_000;
  const token = await sign({ exp: clock.nowMs / 1000 + 60 });
  await verifier.verify(token);
  clock.nowMs = expiresAt - 1;
  assert.equal(await verifications(() => verifier.verify(token)), 0);
  clock.nowMs = expiresAt;
  await refuses(verifier, token);
});

Deno.test("a token that was seen is refused before its nbf and iat when the clock is set back", async () => {
  for (const claim of ["nbf", "iat"]) {
    const { clock, verifier, sign } = withSecret({ clockToleranceSeconds: 5 });
    const validFrom = clock.nowMs;
    const token = await sign({ iat: undefined, [claim]: validFrom / 1000 });
    await verifier.verify(token);
    clock.nowMs = validFrom - 5_000;
    assert.equal(await verifications(() => verifier.verify(token)), 0);
    clock.nowMs = validFrom - 5_001;
    await refuses(verifier, token);
  }
});

Deno.test("a token that came before its nbf passes once that has come", async () => {
  const { clock, verifier, sign } = withSecret();
  const token = await sign({ nbf: clock.nowMs / 1000 + 10 });
  await refuses(verifier, token);
  clock.nowMs += 10_000;
  await verifier.verify(token);
});

Deno.test("a token that was seen is refused once its key has left the issuer's set", async () => {
  const { issuer, clock, verifier, sign } = withIssuer();
  await using _ = issuer;
  const token = await sign();
  await verifier.verify(token);
  issuer.keys = [second.jwk];
  clock.nowMs += COOLDOWN_MS;
  await verifier.verify(await sign({ signer: second }));
  await refuses(verifier, token);
});

Deno.test("a token that was seen is refused when another key stands under its kid", async () => {
  const { issuer, clock, verifier, sign } = withIssuer();
  await using _ = issuer;
  const token = await sign();
  await verifier.verify(token);
  issuer.keys = [{ ...second.jwk, kid: "key-1" }];
  clock.nowMs += CACHE_MAX_AGE_MS;
  await refuses(verifier, token);
});

Deno.test("keys that are too old are fetched again before a token that was seen passes", async () => {
  const { issuer, clock, verifier, sign } = withIssuer();
  await using _ = issuer;
  const token = await sign();
  await verifier.verify(token);
  clock.nowMs += CACHE_MAX_AGE_MS - 1;
  await verifier.verify(token);
  assert.equal(issuer.requests.length, 1);
  clock.nowMs += 1;
  await Promise.all(Array.from({ length: 10 }, () => verifier.verify(token)));
  assert.equal(issuer.requests.length, 2);
  clock.nowMs += CACHE_MAX_AGE_MS;
  issuer.keys = [second.jwk];
  await refuses(verifier, token);
  assert.equal(issuer.requests.length, 3);
});

Deno.test("a set that the issuer says again lets seen tokens pass, and a changed one verifies them anew", async () => {
  const { issuer, clock, verifier, sign } = withIssuer();
  await using _ = issuer;
  const token = await sign();
  await verifier.verify(token);
  clock.nowMs += CACHE_MAX_AGE_MS;
  assert.equal(await verifications(() => verifier.verify(token)), 0);
  assert.equal(issuer.requests.length, 2);
  issuer.keys = [first.jwk, second.jwk];
  clock.nowMs += CACHE_MAX_AGE_MS;
  assert.equal(await verifications(() => verifier.verify(token)), 1);
  assert.equal(await verifications(() => verifier.verify(token)), 0);
});

Deno.test("seen tokens pass while the issuer is down, and ask it once a cooldown at most", async () => {
  const { issuer, clock, verifier, sign } = withIssuer();
  await using _ = issuer;
  const token = await sign();
  await verifier.verify(token);
  issuer.behaviour = "failing";
  clock.nowMs += CACHE_MAX_AGE_MS;
  for (let nth = 0; nth < 10; nth++) await verifier.verify(token);
  assert.equal(issuer.requests.length, 2);
});

Deno.test("a token without a kid that several keys fit is verified each time", async () => {
  const { issuer, verifier, sign } = withIssuer();
  await using _ = issuer;
  issuer.keys = [second.jwk, first.jwk];
  const token = await sign({ signer: { ...first, kid: undefined } });
  for (let nth = 0; nth < 2; nth++) {
    assert.equal(await verifications(() => verifier.verify(token)), 2);
  }
});

Deno.test("a bounded number of tokens is remembered, those that were asked for last", async () => {
  const { verifier, sign } = withSecret();
  const scope = await verifier.verify(await sign());
  const key = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  const token = { scope, key, notBefore: -Infinity, issuedAt: -Infinity };
  const tokens = new RememberedTokens();
  const half = MAX_REMEMBERED_TOKENS / 2;
  let most = 0;
  for (let nth = 0; nth < 3 * MAX_REMEMBERED_TOKENS; nth++) {
    assert.equal(tokens.find("0") ?? token, token);
    tokens.remember(nth % 1_000 === 0 ? "0" : `${nth}`, token);
    most = Math.max(most, tokens.size);
  }
  assert.ok(most <= MAX_REMEMBERED_TOKENS, `${most} are remembered`);
  assert.equal(tokens.find("0"), token, "one that is asked for again and again");
  const last = 3 * MAX_REMEMBERED_TOKENS - 1;
  assert.equal(tokens.find(`${last - half + 100}`), token);
  assert.equal(tokens.find(`${last - MAX_REMEMBERED_TOKENS}`), undefined);
  const { size } = tokens;
  tokens.remember(`${last}`, token);
  assert.equal(tokens.size, size, "one that is there takes no second place");
  tokens.forget("0");
  assert.equal(tokens.find("0"), undefined);
});

Deno.test("a token is named by its SHA-256", async () => {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode("a.b.c"));
  assert.equal(digestOf("a.b.c"), new Uint8Array(digest).toBase64());
});
