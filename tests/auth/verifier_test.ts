// A token signed with the shared secret: every reason to refuse it, and the exact edges of its time.
import assert from "node:assert/strict";
import { createVerifier, MAX_TOKEN_BYTES } from "../../src/auth/verifier.ts";
import { secretSigner, signPayload, signRaw, signToken, TEST_SECRET } from "../support/tokens.ts";
import { HandClock, refuses, verifierWith } from "./verifier_fixture.ts";

const T = Date.UTC(2026, 0, 1);
const seconds = T / 1000;

Deno.test("a token signed with the secret gives its scope", async () => {
  const scope = await verifierWith({ clock: new HandClock(T) }).verify(
    await signToken({}, { nowMs: T }),
  );
  assert.deepEqual(scope, {
    tenantId: "acme",
    userId: "user-1",
    email: "user@example.com",
    role: "customer_viewer",
    expiresAt: T + 3_600_000,
  });
});

Deno.test("the empty token is missing", async () => {
  await refuses(verifierWith(), "", "token_missing");
});

Deno.test("a token that is not a signed JWT in compact form is refused", async () => {
  const token = await signToken();
  const [header, payload, signature] = token.split(".");
  const malformed = [
    "x",
    "null",
    "..",
    "a.b.c",
    `${header}.${payload}`,
    `${header}.${payload}.`,
    `.${payload}.${signature}`,
    `${header}..${signature}`,
    `${token}.`,
    `${token}.${signature}.${signature}`,
    ` ${token}`,
    `${token}\n`,
    `${token}=`,
    `Bearer ${token}`,
    token.replaceAll(".", "\u2024"),
    `${header}.${payload}.${signature}\u0000`,
    `${btoa("[]")}.${payload}.${signature}`.replaceAll("=", ""),
    `${btoa("null")}.${payload}.${signature}`.replaceAll("=", ""),
  ];
  for (const each of malformed) await refuses(verifierWith(), each);
});

Deno.test("a payload that is not a JSON object is refused although its signature is right", async () => {
  for (const payload of ["", "null", "[]", '"x"', "7", "{", '{"exp":1}}', "\ufeff{}"]) {
    await refuses(verifierWith(), await signRaw('{"alg":"HS256"}', payload || " "));
  }
});

Deno.test("a token with another secret's signature or a changed payload is refused", async () => {
  const forged = await signToken({}, {
    signer: secretSigner("another-secret-of-32-bytes-or-more!!"),
  });
  await refuses(verifierWith(), forged);
  const [header, , signature] = (await signToken()).split(".");
  const [, payload] = (await signToken({ tenant_id: "globex" })).split(".");
  await refuses(verifierWith(), `${header}.${payload}.${signature}`);
});

Deno.test("a token without an expiry, or with one that is not a number, is refused", async () => {
  for (const exp of [undefined, null, "4102444800", true, [], {}]) {
    await refuses(verifierWith(), await signToken({ exp }));
  }
  await refuses(verifierWith(), await signRaw('{"alg":"HS256"}', '{"exp":1e999}'));
});

Deno.test("a token expires at exp plus the tolerance, to the millisecond", async () => {
  for (
    const [exp, tolerance] of [[seconds, 0], [seconds, 30], [seconds + 0.5, 0], [seconds, 0.25]]
  ) {
    const expiresAt = (exp! + tolerance!) * 1000;
    const clock = new HandClock(expiresAt - 1);
    const verifier = verifierWith({ clock, clockToleranceSeconds: tolerance! });
    const token = await signToken({ exp, iat: undefined });
    assert.equal((await verifier.verify(token)).expiresAt, expiresAt);
    clock.nowMs = expiresAt;
    await refuses(verifier, token);
    clock.nowMs = expiresAt + 1;
    await refuses(verifier, token);
  }
});

Deno.test("a token is valid from nbf and iat minus the tolerance on, to the millisecond", async () => {
  for (const claim of ["nbf", "iat"]) {
    for (const tolerance of [0, 30]) {
      const validFrom = (seconds - tolerance) * 1000;
      const clock = new HandClock(validFrom - 1);
      const verifier = verifierWith({ clock, clockToleranceSeconds: tolerance });
      const token = await signToken({ iat: undefined, exp: seconds + 60, [claim]: seconds });
      await refuses(verifier, token);
      clock.nowMs = validFrom;
      await verifier.verify(token);
    }
  }
});

Deno.test("an nbf or iat that is not a number is refused", async () => {
  for (const claim of ["nbf", "iat"]) {
    for (const value of ["0", null, [], {}]) {
      await refuses(verifierWith(), await signToken({ [claim]: value }));
    }
  }
});

Deno.test("issuer and audience are checked when they are set", async () => {
  const verifier = verifierWith({ issuer: "https://id.example", audience: ["pulsewire", "iot"] });
  const right = { iss: "https://id.example", aud: "pulsewire" };
  await verifier.verify(await signToken(right));
  await verifier.verify(await signToken({ ...right, aud: ["account", "iot"] }));
  const wrong = [
    { iss: undefined },
    { iss: "https://id.example/" },
    { iss: ["https://id.example"] },
    { aud: undefined },
    { aud: "pulsewire2" },
    { aud: [] },
    { aud: { pulsewire: true } },
  ];
  for (const claims of wrong) await refuses(verifier, await signToken({ ...right, ...claims }));
  await verifierWith().verify(await signToken({ iss: "anybody", aud: "anything" }));
});

Deno.test("an authentic token without an allowed tenant or role is not allowed", async () => {
  for (
    const claims of [
      { tenant_id: undefined },
      { tenant_id: "../globex" },
      { tenant_id: "acme\n" },
      { role: undefined },
      { role: "operator" },
    ]
  ) {
    await refuses(verifierWith(), await signToken(claims), "not_allowed");
  }
});

Deno.test("a forged token is invalid before anybody asks what it may do", async () => {
  const signer = secretSigner("another-secret-of-32-bytes-or-more!!");
  await refuses(verifierWith(), await signToken({ role: "operator" }, { signer }));
});

Deno.test("alg none is refused in every spelling, with and without a signature", async () => {
  const [, payload, signature] = (await signToken()).split(".");
  for (const alg of ["none", "None", "NONE", "nOnE", ""]) {
    const header = btoa(JSON.stringify({ alg, typ: "JWT" })).replaceAll("=", "");
    await refuses(verifierWith(), `${header}.${payload}.`);
    await refuses(verifierWith(), `${header}.${payload}.${signature}`);
  }
});

Deno.test("with a secret only HS256 passes, whatever else was signed with the same bytes", async () => {
  const payload = JSON.stringify({
    exp: Date.now() / 1000 + 60,
    tenant_id: "acme",
    role: "customer_admin",
  });
  await verifierWith().verify(await signRaw('{"alg":"HS256"}', payload));
  for (const alg of ['"HS384"', '"HS512"', '"RS256"', '"ES256"', '"hs256"', '["HS256"]', "null"]) {
    await refuses(verifierWith(), await signRaw(`{"alg":${alg}}`, payload));
  }
  await refuses(verifierWith(), await signRaw("{}", payload));
  const signer = { ...secretSigner(TEST_SECRET + TEST_SECRET), alg: "HS512" };
  const keys = { kind: "secret", secret: TEST_SECRET + TEST_SECRET } as const;
  await refuses(verifierWith({ keys }), await signPayload(payload, { signer }));
});

Deno.test("a critical header that is not understood is refused", async () => {
  const exp = Date.now() / 1000 + 60;
  const payload = JSON.stringify({ exp, tenant_id: "acme", role: "customer_admin" });
  for (const header of ['"crit":["x"],"x":1', '"crit":[]', '"crit":["b64"],"b64":false']) {
    await refuses(verifierWith(), await signRaw(`{"alg":"HS256",${header}}`, payload));
  }
});

Deno.test("a token that names a claim or a header parameter twice is refused", async () => {
  const rest = `"exp":${Math.floor(Date.now() / 1000) + 60},"role":"customer_admin"`;
  const header = '{"alg":"HS256"}';
  await verifierWith().verify(await signRaw(header, `{"tenant_id":"acme",${rest}}`));
  for (
    const [head, payload] of [
      [header, `{"tenant_id":"acme","tenant_id":"globex",${rest}}`],
      [header, `{"tenant_id":"acme","t\\u0065nant_id":"acme",${rest}}`],
      [header, `{"tenant_id":"acme","exp":1,${rest}}`],
      [header, `{"tenant_id":"acme","x":{"y":1,"y":2},${rest}}`],
      ['{"alg":"none","alg":"HS256"}', `{"tenant_id":"acme",${rest}}`],
    ] as const
  ) {
    await refuses(verifierWith(), await signRaw(head, payload));
  }
});

Deno.test("a claim called __proto__ gives nobody a tenant or a role", async () => {
  const exp = Math.floor(Date.now() / 1000) + 60;
  const payload = `{"exp":${exp},"__proto__":{"tenant_id":"acme","role":"customer_admin"}}`;
  await refuses(verifierWith(), await signRaw('{"alg":"HS256"}', payload), "not_allowed");
});

Deno.test("a token of 8 KiB is still read, and one byte more is refused unread", async () => {
  const long = await signToken({ pad: "x".repeat(5_800) });
  assert.ok(long.length > MAX_TOKEN_BYTES * 0.95 && long.length <= MAX_TOKEN_BYTES);
  await verifierWith().verify(long);
  const last = await refuses(verifierWith(), "x".repeat(MAX_TOKEN_BYTES));
  assert.match(last.message, /compact form/);
  const tooLong = await refuses(verifierWith(), "x".repeat(MAX_TOKEN_BYTES + 1));
  assert.match(tooLong.message, /has 8193 bytes, at most 8192/);
  await refuses(verifierWith(), await signToken({ pad: "x".repeat(7_000) }));
});

Deno.test("an error about a token tells no claim of it", async () => {
  const claims = { tenant_id: "acme", email: "secret@example.com", exp: 1 };
  const error = await refuses(verifierWith(), await signToken(claims));
  assert.match(Deno.inspect(error), /ERR_JWT_EXPIRED: exp/);
  assert.doesNotMatch(Deno.inspect(error, { depth: 10 }), /secret@example/);
  const broken = await refuses(
    verifierWith(),
    await signRaw('{"alg":"HS256"}', '{"mail":"secret@'),
  );
  assert.doesNotMatch(Deno.inspect(broken, { depth: 10 }), /secret@/);
});

Deno.test("a verifier that can't be right is not made", () => {
  const make = (options: Partial<Parameters<typeof createVerifier>[0]>) => () =>
    verifierWith(options);
  const short = { kind: "secret", secret: "x".repeat(31) } as const;
  assert.throws(make({ keys: short }), /at least 32 bytes, it has 31/);
  verifierWith({ keys: { kind: "secret", secret: "\u00e9".repeat(16) } });
  assert.throws(make({ clockToleranceSeconds: -1 }), /it is -1/);
  assert.throws(make({ clockToleranceSeconds: Number.NaN }), /it is NaN/);
  assert.throws(make({ allowedRoles: [] }), /at least one role/);
  assert.throws(make({ keys: { kind: "jwks", url: new URL("file:///etc/keys") } }), /"file:"/);
  assert.throws(make({ keys: { kind: "issuer", issuer: "not a url" } }), /not a URL/);
  assert.throws(make({ keys: { kind: "issuer", issuer: "https://id.example/?a" } }), /no query/);
  const url = new URL("https://id.example/certs");
  assert.throws(make({ keys: { kind: "jwks", url, cooldownMs: 0 } }), /cooldownMs/);
});

Deno.test("a secret has its keys from the start", async () => {
  const verifier = verifierWith();
  assert.deepEqual(verifier.state, { reached: true, failure: null });
  assert.equal(await verifier.reach(), true);
});
