// Keys of a real issuer on loopback: rotation, failure and return, and how seldom it is asked.
import assert from "node:assert/strict";
import type { RemoteKeyOptions } from "../../src/auth/create_key_source.ts";
import type { VerifierOptions } from "../../src/auth/verifier.ts";
import type { Log } from "../../src/observe/log.ts";
import { generateSigner, type SignOptions, signToken } from "../support/tokens.ts";
import { LoopbackIssuer } from "./loopback_issuer.ts";
import { HandClock, refuses, verifierWith } from "./verifier_fixture.ts";

const CACHE_MAX_AGE_MS = 600_000;
const COOLDOWN_MS = 30_000;

const first = await generateSigner("RS256", "key-1");
const second = await generateSigner("RS256", "key-2");

function recordingLog() {
  const lines: string[] = [];
  const write = (event: string) => void lines.push(event);
  const log: Log = { debug: write, info: write, warning: write, error: write };
  return { lines, log };
}

function setUp(options: Partial<RemoteKeyOptions & VerifierOptions> = {}) {
  const issuer = new LoopbackIssuer([first.jwk]);
  const clock = new HandClock();
  issuer.onHanging = () => clock.expireTimers();
  const { lines, log } = recordingLog();
  const keys = { kind: "jwks", url: issuer.jwksUrl, ...options } as const;
  const verifier = verifierWith({ keys, clock, log, ...options });
  const sign = (by: SignOptions = {}, claims: Record<string, unknown> = {}) =>
    signToken({ exp: clock.nowMs / 1000 + 86_400, ...claims }, {
      signer: first,
      nowMs: clock.nowMs,
      ...by,
    });
  return { issuer, clock, verifier, sign, lines };
}

for (
  const alg of [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
  ]
) {
  Deno.test(`a token signed with ${alg} is verified with the issuer's key`, async () => {
    const { issuer, verifier, sign } = setUp();
    await using _ = issuer;
    const signer = await generateSigner(alg, "key-x");
    issuer.keys = [first.jwk, signer.jwk];
    const token = await sign({ signer });
    assert.equal((await verifier.verify(token)).tenantId, "acme");
    const [header, , signature] = token.split(".");
    const [, payload] = (await sign({ signer }, { tenant_id: "globex" })).split(".");
    await refuses(verifier, `${header}.${payload}.${signature}`);
  });
}

Deno.test("nothing is fetched before the first token, and once for any number of them", async () => {
  const { issuer, verifier, sign } = setUp();
  await using _ = issuer;
  assert.deepEqual(verifier.state, { reached: false, failure: null });
  assert.deepEqual(issuer.requests, []);
  const token = await sign();
  await Promise.all(Array.from({ length: 50 }, () => verifier.verify(token)));
  await verifier.verify(token);
  assert.equal(issuer.requests.length, 1);
  assert.equal(verifier.state.reached, true);
});

Deno.test("keys that are too old are fetched again before they are used", async () => {
  const { issuer, clock, verifier, sign } = setUp();
  await using _ = issuer;
  const token = await sign();
  await verifier.verify(token);
  issuer.keys = [second.jwk];
  clock.nowMs += CACHE_MAX_AGE_MS - 1;
  await verifier.verify(token);
  assert.equal(issuer.requests.length, 1);
  clock.nowMs += 1;
  await refuses(verifier, token);
  assert.equal(issuer.requests.length, 2);
});

Deno.test("a rotated key is picked up with the first token that needs it", async () => {
  const { issuer, clock, verifier, sign } = setUp();
  await using _ = issuer;
  await verifier.verify(await sign());
  issuer.keys = [first.jwk, second.jwk];
  clock.nowMs += COOLDOWN_MS;
  await verifier.verify(await sign({ signer: second }));
  await verifier.verify(await sign());
  assert.equal(issuer.requests.length, 2);
});

Deno.test("unknown kids fetch once a cooldown at most, however many come at once or in a row", async () => {
  const { issuer, clock, verifier, sign } = setUp();
  await using _ = issuer;
  await verifier.verify(await sign());
  const unknown = await Promise.all(
    Array.from(
      { length: 20 },
      (_, index) => sign({ signer: { ...second, kid: `unknown-${index}` } }),
    ),
  );
  for (const token of unknown) await refuses(verifier, token);
  assert.equal(issuer.requests.length, 1, "the fetch of a moment ago counts");
  for (const expected of [2, 3]) {
    clock.nowMs += COOLDOWN_MS - 1;
    await refuses(verifier, unknown[0]!);
    assert.equal(issuer.requests.length, expected - 1);
    clock.nowMs += 1;
    await Promise.all(unknown.map((token) => refuses(verifier, token)));
    for (const token of unknown) await refuses(verifier, token);
    assert.equal(issuer.requests.length, expected);
  }
});

Deno.test("unknown kids don't hammer an issuer that fails", async () => {
  const { issuer, clock, verifier, sign } = setUp();
  await using _ = issuer;
  await verifier.verify(await sign());
  issuer.behaviour = "failing";
  const token = await sign({ signer: second });
  clock.nowMs += COOLDOWN_MS;
  for (let count = 0; count < 20; count++) await refuses(verifier, token);
  assert.equal(issuer.requests.length, 2);
});

Deno.test("a clock that is set back does not keep new keys out", async () => {
  const { issuer, clock, verifier, sign } = setUp();
  await using _ = issuer;
  await verifier.verify(await sign());
  clock.nowMs -= 86_400_000;
  issuer.keys = [second.jwk];
  await verifier.verify(await sign({ signer: second }));
});

Deno.test("a clock that is set back does not keep old keys in", async () => {
  const { issuer, clock, verifier, sign } = setUp();
  await using _ = issuer;
  await verifier.verify(await sign());
  clock.nowMs -= 86_400_000;
  issuer.keys = [second.jwk];
  await refuses(verifier, await sign());
});

Deno.test("no more than a document's worth is read of an answer", async () => {
  const { issuer, verifier, sign } = setUp();
  await using _ = issuer;
  issuer.behaviour = "endless";
  const error = await refuses(verifier, await sign(), "keys_unavailable");
  assert.match(String(error.cause), /more than 262144 bytes/);
});

for (
  const behaviour of [
    "down",
    "failing",
    "hanging",
    "garbage",
    "endless",
    "redirecting",
    "empty",
  ] as const
) {
  const fail = async (issuer: LoopbackIssuer) => {
    issuer.redirectTo = issuer.jwksUrl.href;
    if (behaviour === "down") await issuer.goDown();
    else issuer.behaviour = behaviour;
  };
  const recover = (issuer: LoopbackIssuer) => {
    if (behaviour === "down") issuer.comeBack();
    issuer.behaviour = "well";
  };

  Deno.test(`an issuer that is ${behaviour} doesn't end what was verified, and is back within a cooldown`, async () => {
    const { issuer, clock, verifier, sign, lines } = setUp();
    await using _ = issuer;
    const token = await sign({}, { exp: 4_102_444_800 });
    await verifier.verify(token);
    await fail(issuer);
    clock.nowMs += CACHE_MAX_AGE_MS;
    for (let count = 0; count < 10; count++) await verifier.verify(token);
    assert.equal(verifier.state.reached, true);
    assert.ok(verifier.state.failure instanceof Error);
    clock.nowMs += CACHE_MAX_AGE_MS * 100;
    await verifier.verify(token);
    await verifier.reach();
    assert.ok(issuer.requests.length <= 3, `${issuer.requests.length} requests`);
    assert.deepEqual(lines, ["keys_unreachable"]);

    recover(issuer);
    issuer.keys = [first.jwk, second.jwk];
    clock.nowMs += COOLDOWN_MS;
    await verifier.verify(await sign({ signer: second }));
    assert.equal(verifier.state.failure, null);
    assert.deepEqual(lines, ["keys_unreachable", "keys_reached"]);

    await fail(issuer);
    clock.nowMs += CACHE_MAX_AGE_MS;
    await verifier.verify(token);
    assert.deepEqual(lines, ["keys_unreachable", "keys_reached", "keys_unreachable"]);
    assert.equal(clock.pendingTimers, 0);
  });

  Deno.test(`an issuer that is ${behaviour} from the start leaves the keys unavailable until it is well`, async () => {
    const { issuer, clock, verifier, sign, lines } = setUp();
    await using _ = issuer;
    const token = await sign();
    await fail(issuer);
    const error = await refuses(verifier, token, "keys_unavailable");
    assert.ok(error.cause instanceof Error);
    assert.equal(verifier.state.reached, false);
    const asked = issuer.requests.length;
    for (let count = 0; count < 10; count++) await refuses(verifier, token, "keys_unavailable");
    assert.equal(issuer.requests.length, asked);

    clock.nowMs += 1_000;
    await refuses(verifier, token, "keys_unavailable");
    recover(issuer);
    clock.nowMs += 1_999;
    await refuses(verifier, token, "keys_unavailable");
    clock.nowMs += 1;
    await verifier.verify(token);
    assert.deepEqual(lines, ["keys_unreachable", "keys_reached"]);
  });
}

Deno.test("tries to reach an issuer that was never reached grow no further apart than the cooldown", async () => {
  const { issuer, clock, verifier } = setUp();
  await using _ = issuer;
  issuer.behaviour = "failing";
  const pausesMs: number[] = [];
  let lastMs = clock.nowMs;
  for (let seconds = 0; seconds < 150; seconds++) {
    const asked = issuer.requests.length;
    assert.equal(await verifier.reach(), false);
    if (issuer.requests.length > asked) {
      pausesMs.push(clock.nowMs - lastMs);
      lastMs = clock.nowMs;
    }
    clock.nowMs += 1_000;
  }
  assert.deepEqual(pausesMs, [0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

Deno.test("keys at hand are used at once while an issuer is known to hang", async () => {
  const { issuer, clock, verifier, sign } = setUp();
  await using _ = issuer;
  const token = await sign();
  await verifier.verify(token);
  issuer.behaviour = "hanging";
  clock.nowMs += CACHE_MAX_AGE_MS;
  await verifier.verify(token);
  assert.match(verifier.state.failure?.message ?? "", /within 5000 ms/);
  clock.nowMs += COOLDOWN_MS;
  const failure = verifier.state.failure;
  const taken = Promise.withResolvers<void>();
  issuer.onHanging = taken.resolve;
  await verifier.verify(token);
  assert.equal(verifier.state.failure, failure, "the refresh was not waited for");
  await taken.promise;
  clock.expireTimers();
  await verifier.reach();
  assert.notEqual(verifier.state.failure, failure, "yet it was under way");
  assert.equal(issuer.requests.length, 3);
  await verifier.reach();
});

Deno.test("ending the service ends a fetch that hangs", async () => {
  const end = new AbortController();
  const { issuer, verifier, sign } = setUp({ signal: end.signal });
  await using _ = issuer;
  issuer.behaviour = "hanging";
  const taken = Promise.withResolvers<void>();
  issuer.onHanging = taken.resolve;
  const refused = refuses(verifier, await sign(), "keys_unavailable");
  await taken.promise;
  end.abort(new Error("Service ends"));
  assert.match(String((await refused).cause), /Service ends/);
});

Deno.test("a redirect is not followed, wherever it leads", async () => {
  const { issuer, verifier, sign } = setUp();
  await using _ = issuer;
  await using other = new LoopbackIssuer([second.jwk]);
  issuer.behaviour = "redirecting";
  issuer.redirectTo = other.jwksUrl.href;
  const error = await refuses(verifier, await sign({ signer: second }), "keys_unavailable");
  assert.match(String(error.cause), /status is 302, expected 200/);
  assert.deepEqual(other.requests, []);
});

Deno.test("a token without a kid is verified with whichever key of the set fits", async () => {
  const { issuer, verifier, sign } = setUp();
  await using _ = issuer;
  const third = await generateSigner("RS256");
  issuer.keys = [first.jwk, second.jwk];
  await verifier.verify(await sign({ signer: { ...second, kid: undefined } }));
  await verifier.verify(await sign({ signer: { ...first, kid: undefined } }));
  await refuses(verifier, await sign({ signer: third }));
  const expired = await sign({ signer: { ...second, kid: undefined } }, { exp: 1 });
  assert.match(String((await refuses(verifier, expired)).cause), /ERR_JWT_EXPIRED/);
});

Deno.test("what a JWK says of itself must fit the token", async () => {
  const { issuer, clock, verifier, sign } = setUp();
  await using _ = issuer;
  const token = await sign();
  const { alg: _alg, use: _use, ...bare } = first.jwk;
  const unfit = [
    { ...first.jwk, alg: "RS512" },
    { ...first.jwk, use: "enc" },
    { ...first.jwk, key_ops: ["encrypt"] },
    { ...first.jwk, kty: "EC" },
    { ...first.jwk, n: first.jwk.n!.slice(0, 64) },
  ];
  for (const jwk of unfit) {
    issuer.keys = [jwk];
    clock.nowMs += CACHE_MAX_AGE_MS;
    await refuses(verifier, token);
  }
  issuer.keys = [bare];
  clock.nowMs += CACHE_MAX_AGE_MS;
  await verifier.verify(token);
});
