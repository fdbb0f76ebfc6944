// Who is let in at the door and how the others are told: every row, with real tokens over a real socket.
import assert from "node:assert/strict";
import { until } from "../support/until.ts";
import { LoopbackIssuer } from "../auth/loopback_issuer.ts";
import { RawPeer, upgradeRequest } from "../sockets/raw_peer.ts";
import { TestClient } from "../support/client.ts";
import {
  generateSigner,
  secretSigner,
  signPayload,
  signRaw,
  signToken,
} from "../support/tokens.ts";
import { startHandshakes as startOn } from "./handshake_fixture.ts";

const INVALID = { code: 4001, reason: "Invalid or expired token" };
const UNAUTHORIZED = { code: 4003, reason: "Unauthorized" };
const now = () => Math.floor(Date.now() / 1_000);

const INVALID_TOKENS: Readonly<Record<string, () => string | Promise<string>>> = {
  "that is no token": () => "not-a-token",
  "with a bad signature": () =>
    signToken({}, { signer: secretSigner("another-secret-".repeat(4)) }),
  "whose claims were changed": async () => {
    const [header, , signature] = (await signToken()).split(".");
    const [, claims] = (await signToken({ tenant_id: "globex" })).split(".");
    return [header, claims, signature].join(".");
  },
  "whose signature is cut off": async () => (await signToken()).slice(0, -10),
  "without a signature": async () => (await signToken()).split(".").slice(0, 2).join(".") + ".",
  "whose payload is not JSON": () => signPayload("{tenant"),
  "without exp": () => signToken({ exp: undefined }),
  "whose exp is a text": () => signToken({ exp: "tomorrow" }),
  "that has expired": () => signToken({ exp: now() - 60 }),
  "that is not yet valid": () => signToken({ nbf: now() + 60 }),
  "that was issued in the future": () => signToken({ iat: now() + 60 }),
  "from another issuer": () => signToken({ iss: "https://evil", aud: "pulsewire" }),
  "for another audience": () => signToken({ iss: "https://id", aud: "shop" }),
  "without issuer and audience": () => signToken(),
  "of algorithm none": async () => {
    const claims = (await signToken({ iss: "https://id", aud: "pulsewire" })).split(".")[1];
    return `${btoa('{"alg":"none"}').replaceAll("=", "")}.${claims}.`;
  },
  "of a forbidden algorithm": async () =>
    signToken({ iss: "https://id", aud: "pulsewire" }, { signer: await generateSigner("RS256") }),
  "of an asymmetric key where a secret is shared": async () =>
    signToken({ iss: "https://id", aud: "pulsewire" }, { signer: await generateSigner("ES256") }),
  "that names a claim twice": () =>
    signRaw(
      '{"alg":"HS256"}',
      `{"tenant_id":"acme","tenant_id":"globex","role":"customer_admin","iss":"https://id","aud":"pulsewire","exp":${
        now() + 60
      }}`,
    ),
  "that is huge": () => signToken({ filling: "x".repeat(10_000) }),
};

const NOT_ALLOWED: Readonly<Record<string, Record<string, unknown>>> = {
  "without a tenant": { tenant_id: undefined },
  "with an empty tenant": { tenant_id: "" },
  "whose tenant is a number": { tenant_id: 7 },
  "whose tenant is a list": { tenant_id: ["acme"] },
  "whose tenant would be another path": { tenant_id: "../globex" },
  "whose tenant ends with a line break": { tenant_id: "acme\n" },
  "whose tenant breaks out of a query": { tenant_id: "acme' OR '1'='1" },
  "whose tenant has 65 letters": { tenant_id: "a".repeat(65) },
  "whose tenant only looks right": { tenant_id: "аcme" },
  "without a role": { role: undefined },
  "of a role that is not allowed": { role: "operator" },
  "of roles that are not allowed": { role: ["operator", "customer"] },
  "of a role in other letters": { role: "Customer_Admin" },
};

for (const WS_ENGINE of ["ws", "deno"]) {
  const test = (name: string, act: () => Promise<void>) =>
    Deno.test(`${name} (engine ${WS_ENGINE})`, act);
  const startHandshakes = (settings: Readonly<Record<string, string>> = {}) =>
    startOn({ WS_ENGINE, ...settings });

  test("A valid token is let in, whichever allowed role it has", async () => {
    await using door = await startHandshakes();
    for (const role of ["customer_admin", "customer_viewer", ["other", "customer_viewer"]]) {
      assert(await door.isLetIn(await signToken({ role })));
    }
  });

  test("Without a token the socket is closed with 4001 and says that it is missing", async () => {
    await using door = await startHandshakes();
    const missing = { code: 4001, reason: "Missing token parameter" };
    assert.deepEqual(await door.refusal(null), missing);
    await using empty = await TestClient.connect(`${door.service.socketUrl()}?token=`);
    assert.deepEqual(await empty.closed, missing);
    await using other = await TestClient.connect(`${door.service.socketUrl()}?Token=x&jwt=y`);
    assert.deepEqual(await other.closed, missing);
  });

  for (const [fault, token] of Object.entries(INVALID_TOKENS)) {
    test(`A token ${fault} is closed with 4001 and one reason for all`, async () => {
      const needsIssuer = ![
        "without exp",
        "whose exp is a text",
        "that has expired",
        "that is not yet valid",
        "that was issued in the future",
      ].includes(fault);
      await using door = await startHandshakes(
        needsIssuer ? { JWT_ISSUER: "https://id", JWT_AUDIENCE: "pulsewire" } : {},
      );
      assert.deepEqual(await door.refusal(await token()), INVALID);
      assert.equal(door.service.app.manager.connectionCount, 0);
      assert.equal(door.service.log.of("handshake_refused")[0]?.fields.reason, "invalid_token");
      // The same door lets a good one in: it is the fault that was refused.
      const claims = { iss: "https://id", aud: "pulsewire" };
      assert(await door.isLetIn(await signToken(claims)));
    });
  }

  test("A token of an unknown key is closed with 4001", async () => {
    const [known, unknown] = [
      await generateSigner("ES256", "k1"),
      await generateSigner("ES256", "k2"),
    ];
    await using issuer = new LoopbackIssuer([known.jwk]);
    await using door = await startHandshakes({ JWKS_URL: issuer.jwksUrl.href });
    assert(await door.isLetIn(await signToken({}, { signer: known })));
    assert.deepEqual(await door.refusal(await signToken({}, { signer: unknown })), INVALID);
    assert.deepEqual(await door.refusal(await signToken()), INVALID);
  });

  for (const [fault, claims] of Object.entries(NOT_ALLOWED)) {
    test(`A token ${fault} is closed with 4003`, async () => {
      await using door = await startHandshakes();
      assert.deepEqual(await door.refusal(await signToken(claims)), UNAUTHORIZED);
      assert.equal(door.service.log.of("handshake_refused")[0]?.fields.reason, "not_allowed");
    });
  }

  test("Tenants at the edges of what may name one are let in", async () => {
    await using door = await startHandshakes();
    for (const tenantId of ["a", "A-b_9", "a".repeat(64)]) {
      assert(await door.isLetIn(await signToken({ tenant_id: tenantId })));
    }
  });

  test("Claims and roles are looked for where the settings say", async () => {
    await using door = await startHandshakes({
      JWT_TENANT_CLAIM: "org.id",
      JWT_ROLE_CLAIM: "realm_access.roles",
      ALLOWED_ROLES: "viewer",
    });
    const realm = { realm_access: { roles: ["x", "viewer"] } };
    assert(await door.isLetIn(await signToken({ org: { id: "acme" }, ...realm })));
    assert.deepEqual(await door.refusal(await signToken({ org: { id: "acme" } })), UNAUTHORIZED);
    assert.deepEqual(await door.refusal(await signToken(realm)), UNAUTHORIZED);
  });

  test("A token is good until its exp plus the tolerance, and not after", async () => {
    await using door = await startHandshakes({ JWT_CLOCK_TOLERANCE_SECONDS: "30" });
    assert(await door.isLetIn(await signToken({ exp: now() - 20 })));
    assert.deepEqual(await door.refusal(await signToken({ exp: now() - 31 })), INVALID);
  });

  test("Beyond MAX_REFUSED_SOCKETS the refused get 401 or 403, and a close code again once others have gone", async () => {
    await using door = await startHandshakes({ MAX_REFUSED_SOCKETS: "2" });
    const forbidden = await signToken({ role: "operator" });
    // They read nothing and answer no close, so that they stay.
    const held = [await door.knock(null), await door.knock(forbidden)];
    assert.deepEqual(held.map(({ status }) => status), [101, 101]);
    const beyond: ReadonlyArray<readonly [string | null, number]> = [
      [null, 401],
      ["bad", 401],
      [forbidden, 403],
    ];
    for (const [token, status] of beyond) {
      using peer = await door.knock(token);
      assert.equal(peer.status, status);
      assert.match(peer.head, /^HTTP/);
    }
    assert(await door.isLetIn(await signToken()), "who has a token is not held up by the refused");
    for (const peer of held) peer.vanish();
    await until(async () => {
      using peer = await door.knock(null);
      return peer.status === 101;
    });
    assert.deepEqual(await door.refusal(forbidden), UNAUTHORIZED);
  });

  test("Refused clients are counted down, however many come one after the other", async () => {
    await using door = await startHandshakes({ MAX_REFUSED_SOCKETS: "1" });
    for (let nth = 1; nth <= 20; nth++) {
      await until(async () => (await door.refusal(null)).code === 4001, {
        what: `The close code of refused client ${nth}`,
      });
    }
  });

  test("Malformed upgrades don't use up the places of the refused", async () => {
    await using door = await startHandshakes({ MAX_REFUSED_SOCKETS: "1" });
    for (const without of ["Sec-WebSocket-Key", "Sec-WebSocket-Version", "Connection"]) {
      const text = upgradeRequest("/api/v2/ws", { without: [without] });
      using peer = await RawPeer.request(door.service.port, text);
      assert(peer.status >= 400 && peer.status < 500);
    }
    assert.equal((await door.refusal(null)).code, 4001);
  });

  test("Malformed upgrades are told what they lack", async () => {
    await using door = await startHandshakes();
    const lacks = { "Sec-WebSocket-Key": 400, "Sec-WebSocket-Version": 426, Connection: 400 };
    for (const [name, status] of Object.entries(lacks)) {
      const text = upgradeRequest("/api/v2/ws", { without: [name] });
      using peer = await RawPeer.request(door.service.port, text);
      assert.equal(peer.status, status, name);
    }
    const text = upgradeRequest("/api/v2/ws", { without: ["Upgrade"] });
    using peer = await RawPeer.request(door.service.port, text);
    assert.equal(peer.status, 426);
  });

  test("With MAX_REFUSED_SOCKETS of 0 nobody who is refused is upgraded", async () => {
    await using door = await startHandshakes({ MAX_REFUSED_SOCKETS: "0" });
    using peer = await door.knock(null);
    assert.equal(peer.status, 401);
  });

  test("Two credentials in one request are 400, also when they are the same", async () => {
    await using door = await startHandshakes();
    const token = await signToken();
    for (const query of [`token=${token}&token=${token}`, `token=a&token=${token}`]) {
      using peer = await RawPeer.request(
        door.service.port,
        upgradeRequest(`/api/v2/ws?${query}`),
      );
      assert.equal(peer.status, 400);
    }
  });

  test("While the issuer was never reached the answer is 503 with Retry-After", async () => {
    const signer = await generateSigner("ES256", "k1");
    await using issuer = new LoopbackIssuer([signer.jwk]);
    await issuer.goDown();
    await using door = await startHandshakes({ JWKS_URL: issuer.jwksUrl.href });
    const token = await signToken({}, { signer });
    using peer = await door.knock(token);
    assert.equal(peer.status, 503);
    assert.match(peer.head, /\r\nretry-after: \d+/i);
    issuer.comeBack();
    await until(() => door.isLetIn(token), { what: "Verification" });
  });

  test("While the service drains nobody is let in: 503 with Retry-After", async () => {
    await using door = await startHandshakes();
    const token = await signToken();
    assert(await door.isLetIn(token));
    await door.service.app.drain(100);
    for (const credential of [token, null, "bad"]) {
      using peer = await door.knock(credential);
      assert.equal(peer.status, 503);
      assert.match(peer.head, /\r\nretry-after: \d+/i);
    }
    assert.equal(door.service.app.manager.connectionCount, 0);
  });

  test("Connects and disconnects are logged with tenant and email, never with the token", async () => {
    await using door = await startHandshakes();
    const claims = { tenant_id: "globex", email: "ada@globex.example" };
    assert(await door.isLetIn(await signToken(claims)));
    const { log, app } = door.service;
    await until(() => app.manager.connectionCount === 0);
    for (const event of ["connected", "disconnected"]) {
      const [record] = log.of(event);
      assert.equal(record?.fields.tenant, "globex");
      assert.equal(record.fields.email, "ada@globex.example");
    }
  });
}
