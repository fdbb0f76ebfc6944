// Tickets over HTTP and at the door, over a real service on both engines.
import assert from "node:assert/strict";
import { TestClient } from "../support/client.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { startService, type TestService } from "../support/service.ts";
import { generateSigner, secretSigner, signToken } from "../support/tokens.ts";
import { LoopbackIssuer } from "../auth/loopback_issuer.ts";
import { RawPeer, upgradeRequest } from "../sockets/raw_peer.ts";
import { assertNoToken } from "./handshake_fixture.ts";

const PATH = "/api/v2/ws-ticket";

async function ask(service: TestService, headers: HeadersInit = {}, query = ""): Promise<Response> {
  return await fetch(`${service.origin}${PATH}${query}`, { method: "POST", headers });
}

async function problemOf(response: Response) {
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  const problem = await response.json();
  assert.equal(problem.status, response.status);
  assert.equal(problem.type, "about:blank");
  return problem;
}

for (const WS_ENGINE of ["ws", "deno"]) {
  const start = (settings: Readonly<Record<string, string>> = {}) =>
    startService({ sources: fakeSources(), settings: { WS_ENGINE, ...settings } });

  Deno.test(`A ticket opens one socket of the token's tenant and none after it (engine ${WS_ENGINE})`, async () => {
    await using service = await start();
    const token = await signToken({ tenant_id: "globex" });
    const response = await ask(service, { authorization: `Bearer ${token}` });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("cache-control"), "no-store");
    const { ticket, expires_in, ...rest } = await response.json();
    assert.deepEqual([expires_in, rest], [30, {}]);
    await using client = await TestClient.connect(`${service.socketUrl()}?ticket=${ticket}`);
    assert.equal((await client.ask({ action: "ping" })).type, "pong");
    assert.equal([...service.app.manager.connections][0]?.scope.tenantId, "globex");
    await using thief = await TestClient.connect(`${service.socketUrl()}?ticket=${ticket}`);
    assert.deepEqual(await thief.closed, { code: 4001, reason: "Invalid or expired token" });
    await client.close();
    assertNoToken(service.log, [token, ticket]);
  });

  Deno.test(`Of many who redeem one ticket at once one is let in (engine ${WS_ENGINE})`, async () => {
    await using service = await start();
    const token = await signToken();
    const { ticket } = await (await ask(service, { authorization: `Bearer ${token}` })).json();
    const url = `${service.socketUrl()}?ticket=${ticket}`;
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => TestClient.connect(url)),
    );
    const fates = await Promise.all(clients.map(async (client) => {
      client.send({ action: "ping" });
      const pong = client.next(({ type }) => type === "pong").then(() => "in", () => "out");
      return await Promise.race([pong, client.closed.then(({ code }) => code)]);
    }));
    assert.equal(fates.filter((fate) => fate === "in").length, 1);
    assert.equal(fates.filter((fate) => fate === 4001).length, 19);
    await Promise.all(clients.map((client) => client.close()));
  });
}

Deno.test("A ticket wants a bearer token in the header, and one only", async () => {
  await using service = await startService({ sources: fakeSources() });
  const token = await signToken();
  const missing = await ask(service);
  assert.equal(missing.headers.get("www-authenticate"), "Bearer");
  assert.equal((await problemOf(missing)).code, "token_missing");
  const inQuery = await ask(service, {}, `?token=${token}`);
  assert.equal((await problemOf(inQuery)).code, "token_missing");
  const basic = await ask(service, { authorization: "Basic dTpw" });
  assert.equal((await problemOf(basic)).status, 401);
  const twice = await ask(service, { authorization: `Bearer ${token}, Bearer ${token}` });
  assert.equal((await problemOf(twice)).status, 400);
});

Deno.test("A ticket's refusals are problem documents with the status of the fault, and no token in them", async () => {
  await using service = await startService({ sources: fakeSources() });
  const bad = await signToken({}, { signer: secretSigner("another-secret-".repeat(4)) });
  const forged = await ask(service, { authorization: `Bearer ${bad}` });
  assert.equal(forged.status, 401);
  assert.equal(forged.headers.get("www-authenticate"), "Bearer");
  const problem = await problemOf(forged);
  assert.deepEqual([problem.code, problem.title], ["invalid_token", "Invalid or expired token"]);
  assert(!JSON.stringify(problem).includes(bad.slice(0, 20)));
  const operator = await signToken({ role: "operator" });
  const forbidden = await ask(service, { authorization: `Bearer ${operator}` });
  assert.equal(forbidden.headers.get("www-authenticate"), null);
  assert.equal((await problemOf(forbidden)).status, 403);
  assertNoToken(service.log, [bad, operator]);
});

Deno.test("While the issuer was never reached a ticket is 503 with Retry-After", async () => {
  const signer = await generateSigner("ES256", "k1");
  await using issuer = new LoopbackIssuer([signer.jwk]);
  await issuer.goDown();
  await using service = await startService({
    sources: fakeSources(),
    settings: { JWKS_URL: issuer.jwksUrl.href },
  });
  const token = await signToken({}, { signer });
  const response = await ask(service, { authorization: `Bearer ${token}` });
  assert.equal(response.headers.get("retry-after"), "5");
  assert.equal((await problemOf(response)).code, "keys_unavailable");
});

Deno.test("Tickets and handshakes share one rate: beyond it 429 with Retry-After and the limit by name", async () => {
  await using service = await startService({
    sources: fakeSources(),
    settings: { MAX_HANDSHAKES_PER_SECOND: "1" },
  });
  const authorization = `Bearer ${await signToken()}`;
  const statuses: number[] = [];
  // On a machine on which they take long, some places come back meanwhile.
  while (statuses.at(-1) !== 429 && statuses.length < 100) {
    const response = await ask(service, { authorization });
    statuses.push(response.status);
    if (response.status !== 429) {
      await response.body?.cancel();
      continue;
    }
    assert.equal(response.headers.get("retry-after"), "1");
    const { detail, code } = await problemOf(response);
    assert.deepEqual([detail, code], [
      "More than 1 handshakes a second from this address",
      "too_many_requests",
    ]);
  }
  assert(statuses.length > 10, `refused after ${statuses.length}`);
  assert.deepEqual(statuses, [...Array(statuses.length - 1).fill(200), 429]);
  const request = upgradeRequest(`/api/v2/ws?token=${await signToken()}`);
  let head = "";
  for (let i = 0; i < 10 && !head.startsWith("HTTP/1.1 429"); i++) {
    using peer = await RawPeer.request(service.port, request);
    head = peer.head;
  }
  assert.match(head, /^HTTP\/1\.1 429/, "a bucket of its own would have let in ten");
  assert.match(head, /\r\nretry-after: 1/i);
  assert.equal(service.app.ledger.crossings("handshakes_per_second"), 2);
});

Deno.test("A process that drains gives out no ticket, as it would be good nowhere else", async () => {
  await using service = await startService({ sources: fakeSources() });
  await service.app.drain(0);
  const response = await ask(service, { authorization: `Bearer ${await signToken()}` });
  assert.equal((await problemOf(response)).status, 503);
  assert.equal(response.headers.get("retry-after"), "5");
});

Deno.test("A GET gives no ticket", async () => {
  await using service = await startService({ sources: fakeSources() });
  const headers = { authorization: `Bearer ${await signToken()}` };
  const response = await fetch(service.origin + PATH, { headers });
  assert.equal(response.status, 404);
  await response.body?.cancel();
});
