// Keys found from an OIDC issuer's discovery document, which must be the issuer's own and lead nowhere worse.
import assert from "node:assert/strict";
import { generateSigner, signToken } from "../support/tokens.ts";
import { LoopbackIssuer } from "./loopback_issuer.ts";
import { HandClock, refuses, verifierWith } from "./verifier_fixture.ts";

const DOCUMENT = "/.well-known/openid-configuration";

const signer = await generateSigner("ES256", "key-1");

function setUp() {
  const issuer = new LoopbackIssuer([signer.jwk]);
  const clock = new HandClock();
  const keys = { kind: "issuer", issuer: issuer.issuer } as const;
  const verifier = verifierWith({ keys, clock });
  const sign = (claims: Record<string, unknown> = {}) =>
    signToken({ iss: issuer.issuer, ...claims }, { signer, nowMs: clock.nowMs });
  return { issuer, clock, verifier, sign };
}

Deno.test("the key set is found from the discovery document, which is asked for once", async () => {
  const { issuer, clock, verifier, sign } = setUp();
  await using _ = issuer;
  const token = await sign();
  await Promise.all(Array.from({ length: 20 }, () => verifier.verify(token)));
  assert.deepEqual(issuer.requests, [`/realms/iot${DOCUMENT}`, "/realms/iot/certs"]);
  clock.nowMs += 30_000;
  await refuses(verifier, await signToken({}, { signer: { ...signer, kid: "unknown" } }));
  assert.equal(issuer.countOf(DOCUMENT), 1);
  assert.equal(issuer.countOf("/certs"), 2);
});

Deno.test("the issuer that gave the keys is the one expected in tokens", async () => {
  const { issuer, verifier, sign } = setUp();
  await using _ = issuer;
  await verifier.verify(await sign());
  await refuses(verifier, await sign({ iss: `${issuer.issuer}/` }));
  await refuses(verifier, await sign({ iss: undefined }));
});

Deno.test("a discovery document that is not the issuer's own gives no keys", async () => {
  const { issuer, clock, verifier, sign } = setUp();
  await using _ = issuer;
  const jwks_uri = issuer.jwksUrl.href;
  const wrong: Record<string, unknown>[] = [
    { jwks_uri },
    { issuer: `${issuer.issuer}/`, jwks_uri },
    { issuer: "https://id.example", jwks_uri },
    { issuer: [issuer.issuer], jwks_uri },
    { issuer: issuer.issuer },
    { issuer: issuer.issuer, jwks_uri: "certs" },
    { issuer: issuer.issuer, jwks_uri: "file:///etc/keys" },
    { issuer: issuer.issuer, jwks_uri: `data:,${JSON.stringify({ keys: [signer.jwk] })}` },
    { issuer: issuer.issuer, jwks_uri: [jwks_uri] },
  ];
  for (const document of wrong) {
    issuer.discovery = document;
    clock.nowMs += 30_000;
    await refuses(verifier, await sign(), "keys_unavailable");
  }
  assert.equal(issuer.countOf(DOCUMENT), wrong.length);
  assert.equal(issuer.countOf("/certs"), 0);
  assert.equal(verifier.state.reached, false);
});

Deno.test("discovery that answers nothing but a bare value gives no keys", async () => {
  for (const body of ["null", "7", '"x"', "[]"]) {
    const answering = () => Promise.resolve(new Response(body));
    const keys = { kind: "issuer", issuer: "https://id.example", fetch: answering } as const;
    await refuses(verifierWith({ keys }), await signToken({}, { signer }), "keys_unavailable");
  }
});

Deno.test("an https issuer can't send us to a key set over http", async () => {
  const asked: string[] = [];
  const answering = (input: RequestInfo | URL) => {
    asked.push(String(input));
    const document = { issuer: "https://id.example", jwks_uri: "http://id.example/certs" };
    return Promise.resolve(Response.json(document));
  };
  const keys = { kind: "issuer", issuer: "https://id.example", fetch: answering } as const;
  const verifier = verifierWith({ keys });
  const error = await refuses(verifier, await signToken({}, { signer }), "keys_unavailable");
  assert.match(String(error.cause), /from https to http/);
  assert.deepEqual(asked, [`https://id.example${DOCUMENT}`]);
});

Deno.test("an issuer whose name ends in a slash is asked without a doubled one", async () => {
  const asked: string[] = [];
  const issuer = "https://id.example/";
  const answering = (input: RequestInfo | URL) => {
    asked.push(String(input));
    return Promise.resolve(
      asked.length === 1
        ? Response.json({ issuer, jwks_uri: "https://keys.example/certs" })
        : Response.json({ keys: [signer.jwk] }),
    );
  };
  const verifier = verifierWith({ keys: { kind: "issuer", issuer, fetch: answering } });
  await verifier.verify(await signToken({ iss: issuer }, { signer }));
  assert.deepEqual(asked, [`https://id.example${DOCUMENT}`, "https://keys.example/certs"]);
});

Deno.test("an issuer that moves its key set is found again", async () => {
  const { issuer, clock, verifier, sign } = setUp();
  await using _ = issuer;
  await verifier.verify(await sign());
  await using moved = new LoopbackIssuer([signer.jwk]);
  issuer.discovery = { issuer: issuer.issuer, jwks_uri: moved.jwksUrl.href };
  clock.nowMs += 600_000;
  await verifier.verify(await sign());
  assert.equal(moved.countOf("/certs"), 1);
});

Deno.test("a key set that is gone from its address is looked for anew", async () => {
  const { issuer, clock, verifier, sign } = setUp();
  await using _ = issuer;
  const old = new LoopbackIssuer([signer.jwk]);
  issuer.discovery = { issuer: issuer.issuer, jwks_uri: old.jwksUrl.href };
  await verifier.verify(await sign());
  await old.goDown();
  const next = await generateSigner("ES256", "key-2");
  issuer.keys = [next.jwk];
  issuer.discovery = null;
  const token = await signToken({ iss: issuer.issuer }, { signer: next, nowMs: clock.nowMs });
  clock.nowMs += 30_000;
  await refuses(verifier, token);
  clock.nowMs += 30_000;
  await verifier.verify(token);
});

Deno.test("discovery that fails is asked again, and not before its time", async () => {
  const { issuer, clock, verifier, sign } = setUp();
  await using _ = issuer;
  issuer.behaviour = "failing";
  for (let count = 0; count < 5; count++) await refuses(verifier, await sign(), "keys_unavailable");
  assert.equal(issuer.requests.length, 1);
  issuer.behaviour = "well";
  clock.nowMs += 1_000;
  assert.equal(await verifier.reach(), true);
  await verifier.verify(await sign());
  assert.equal(issuer.requests.length, 3);
});
