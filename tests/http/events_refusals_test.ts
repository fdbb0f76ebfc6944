// Who gets no event stream and how they are told; credentials, methods, other origins, and what strangers try. Over a
// whole service on both engines.
import assert from "node:assert/strict";
import { EventClient } from "../events/event_client.ts";
import { RawPeer } from "../sockets/raw_peer.ts";
import { type FakeSources, fakeSources } from "../support/fake_sources.ts";
import { sampleAt } from "../support/samples.ts";
import { startService, type TestService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { ENGINE_NAMES, serveEvents } from "./events_fixture.ts";
import { assertNoToken } from "./handshake_fixture.ts";

const ORIGIN = "https://app.example.com";
const ASKED = "device_id=dev-1";

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly parameter?: string;
  readonly detail?: string | RegExp;
  /** Whether waiting helps. */
  readonly isPassing?: boolean;
}

async function assertRefused(response: Response, refusal: Refusal): Promise<void> {
  const text = await response.text();
  assert.equal(response.status, refusal.status, text);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal(response.headers.get("cache-control"), "no-store");
  const problem = JSON.parse(text);
  assert.equal(problem.status, refusal.status);
  assert.equal(problem.code, refusal.code);
  assert.equal(problem.parameter, refusal.parameter, text);
  const { detail, isPassing = false } = refusal;
  if (detail instanceof RegExp) assert.match(problem.detail, detail);
  else if (detail !== undefined) assert.equal(problem.detail, detail);
  const retryAfter = response.headers.get("retry-after");
  if (isPassing) assert(Number(retryAfter) >= 1, `Retry-After is ${retryAfter}`);
  else assert.equal(retryAfter, null);
  if (refusal.status === 401) assert.equal(response.headers.get("www-authenticate"), "Bearer");
}

for (const engine of ENGINE_NAMES) {
  const test = (
    behaviour: string,
    run: (service: TestService, sources: FakeSources) => Promise<void>,
    settings: Readonly<Record<string, string>> = {},
  ) =>
    Deno.test(`Event streams (${engine}): ${behaviour}`, async () => {
      const sources = fakeSources();
      sources.put("acme", "dev-1", sampleAt(1));
      await using service = await startService({
        sources,
        settings: { WS_ENGINE: engine, ...settings },
      });
      await run(service, sources);
      await until(() => service.app.seats.taken === 0, { withinMs: 15_000, what: "Free seats" });
    });
  const ask = (service: TestService, query: string, init: RequestInit = {}) =>
    fetch(`${service.origin}/api/v2/events?${query}`, init);
  const bearer = async (claims?: Readonly<Record<string, unknown>>) => ({
    authorization: `Bearer ${await signToken(claims)}`,
  });

  test("a token is missing, invalid, not allowed, or one of several", async (service) => {
    const token = await signToken();
    const headers = await bearer();
    const guest = await bearer({ role: "guest" });
    const invalid = { status: 401, code: "invalid_token" };
    const ambiguous = { status: 400, code: "ambiguous_credential" };
    await assertRefused(await ask(service, ASKED), { status: 401, code: "token_missing" });
    await assertRefused(await ask(service, `${ASKED}&token=nonsense`), invalid);
    await assertRefused(await ask(service, `${ASKED}&ticket=nonsense`), invalid);
    await assertRefused(await ask(service, ASKED, { headers: guest }), {
      status: 403,
      code: "not_allowed",
    });
    await assertRefused(await ask(service, `${ASKED}&token=${token}`, { headers }), ambiguous);
    await assertRefused(await ask(service, `${ASKED}&token=${token}&token=${token}`), ambiguous);
    assertNoToken(service.log, [token]);
  });

  test("a token may stand in the header or in the address, and a ticket opens one", async (service) => {
    const token = await signToken();
    const headers = { authorization: `Bearer ${token}` };
    const issued = await fetch(`${service.origin}/api/v2/ws-ticket`, { method: "POST", headers });
    const { ticket } = await issued.json();
    const url = `${service.origin}/api/v2/events?${ASKED}`;
    for (
      const [query, init] of [["", { headers }], [`&token=${token}`, {}], [`&ticket=${ticket}`, {}]]
    ) {
      await using client = await EventClient.open(
        `${url}${query}`,
        init as { headers: HeadersInit },
      );
      await client.next(({ type }) => type === "telemetry");
    }
    await assertRefused(await ask(service, `${ASKED}&ticket=${ticket}`), {
      status: 401,
      code: "invalid_token",
    });
    assertNoToken(service.log, [token, ticket]);
  });

  test("a token in the address is no credential where that is switched off", async (service) => {
    const refused = await ask(service, `${ASKED}&token=${await signToken()}`);
    await assertRefused(refused, { status: 401, code: "token_missing" });
  }, { ALLOW_QUERY_TOKEN: "false" });

  test("a parameter that can't be taken is named", async (service, sources) => {
    const headers = await bearer();
    const cases: ReadonlyArray<readonly [query: string, refusal: Partial<Refusal>]> = [
      ["", { parameter: "device_id", detail: "Ask for device_id, alerts=1 or fleet=1" }],
      ["device_id=", { code: "invalid_device_id", parameter: "device_id" }],
      [`device_id=${"x".repeat(129)}`, { code: "invalid_device_id", parameter: "device_id" }],
      ["device_id=a%0Ab", { code: "invalid_device_id", parameter: "device_id" }],
      [`${ASKED}&sort=1`, { parameter: "sort", detail: "sort is not a parameter of this path" }],
      [`${ASKED}&mode=metrics`, { parameter: "mode", detail: /^mode must be/ }],
      ["alerts=1&alerts_mode=mode", { parameter: "alerts_mode", detail: /^alerts_mode must be/ }],
      [`${ASKED}&since=then`, { parameter: "since" }],
      [`${ASKED}&last_event_id=then`, { parameter: "last_event_id" }],
      [`${ASKED}&fleet=yes`, { parameter: "fleet", detail: "fleet must be 0 or 1" }],
    ];
    for (const [query, refusal] of cases) {
      const refused = await ask(service, query, { headers });
      await assertRefused(refused, { status: 400, code: "invalid_parameter", ...refusal });
    }
    const resumed = { ...headers, "last-event-id": "7" };
    await assertRefused(await ask(service, ASKED, { headers: resumed }), {
      status: 400,
      code: "invalid_parameter",
      parameter: "last_event_id",
    });
    assert.equal(service.log.of("connected").length, 0);
    assert.deepEqual(sources.telemetryReads, []);
    assert(service.app.ledger.crossings("device_id_bytes") > 0);
  });

  test("who is not let in is told nothing of the query", async (service) => {
    await assertRefused(await ask(service, "nonsense=1"), { status: 401, code: "token_missing" });
  });

  test("more devices than a connection may follow are refused as a whole", async (service) => {
    const headers = await bearer();
    const ids = (count: number) =>
      Array.from({ length: count }, (_, n) => `device_id=d${n}`).join("&");
    await assertRefused(await ask(service, ids(4), { headers }), {
      status: 400,
      code: "invalid_parameter",
      parameter: "device_id",
      detail: "More than 3 device subscriptions",
    });
    assert.equal(service.app.ledger.crossings("subscriptions"), 1);
    await using client = await EventClient.open(
      `${service.origin}/api/v2/events?${ids(3)}&device_id=d0`,
      { headers },
    );
    assert.equal((await client.next(({ type }) => type === "subscribed")).device_ids.length, 3);
  }, { MAX_SUBSCRIPTIONS: "3" });

  test("a query that asks for more than a message may hold is refused", async (service) => {
    const headers = await bearer();
    const query = Array.from({ length: 4 }, (_, n) => `device_id=${n}${"x".repeat(100)}`).join("&");
    await assertRefused(await ask(service, query, { headers }), {
      status: 400,
      code: "invalid_parameter",
      parameter: "device_id",
      detail: "Message is larger than 256 bytes",
    });
  }, { MAX_MESSAGE_BYTES: "256" });

  test("a huge query costs a stranger a refusal and nobody else anything", async (service) => {
    const query = Array.from({ length: 4_000 }, (_, n) => `device_id=d${n}`).join("&");
    const response = await ask(service, query, { headers: await bearer() });
    await response.body?.cancel();
    assert(response.status >= 400 && response.status < 500, `${response.status}`);
    assert.equal(await (await fetch(`${service.origin}/livez`)).text(), "ok\n");
  });

  test("streams and sockets share the seats of their user", async (service) => {
    const headers = await bearer();
    const full = {
      status: 429,
      code: "too_many_connections",
      detail: "More than 2 connections of this user",
      isPassing: true,
    };
    const url = `${service.origin}/api/v2/events?${ASKED}`;
    await using socket = await service.connect();
    await using stream = await EventClient.open(url, { headers });
    await assertRefused(await ask(service, ASKED, { headers }), full);
    await using turnedAway = await service.connect();
    assert.equal((await turnedAway.closed).code, 1013);
    await socket.close();
    await until(() => service.app.seats.taken === 1);
    await using second = await EventClient.open(url, { headers });
    await assertRefused(await ask(service, ASKED, { headers }), full);
    await stream.leave();
    await until(() => service.app.seats.taken === 1);
    await using again = await service.connect();
    assert.equal(again.isClosed, false);
    assert.equal(second.isEnded, false);
  }, { MAX_CONNECTIONS_PER_USER: "2" });

  test(
    "streams and sockets share the seats of their address, of their tenant and of all",
    async (service) => {
      const headers = await bearer();
      await using socket = await service.connect();
      await assertRefused(await ask(service, ASKED, { headers }), {
        status: 429,
        code: "too_many_requests",
        detail: "More than 1 connections from this address",
        isPassing: true,
      });
      await socket.close();
    },
    { MAX_CONNECTIONS_PER_ADDRESS: "1" },
  );

  test("a full house answers 503 and says when to come back", async (service) => {
    const headers = await bearer();
    await using socket = await service.connect();
    await assertRefused(await ask(service, ASKED, { headers }), {
      status: 503,
      code: "going_away",
      detail: "More than 1 connections",
      isPassing: true,
    });
    await socket.close();
  }, { MAX_CONNECTIONS: "1" });

  test("a stream costs what a handshake costs, also one that is refused", async (service) => {
    let response = await ask(service, "nonsense=1");
    for (let n = 0; n < 200 && response.status === 401; n++) {
      await response.body?.cancel();
      response = await ask(service, "nonsense=1");
    }
    await assertRefused(response, {
      status: 429,
      code: "too_many_requests",
      detail: "More than 1 handshakes a second from this address",
      isPassing: true,
    });
    assert(service.app.ledger.crossings("handshakes_per_second") > 0);
  }, { MAX_HANDSHAKES_PER_SECOND: "1" });

  test(
    "many streams that read nothing take no more than their seats, and all are given back",
    async (service) => {
      const token = await signToken();
      const request = (path: string) =>
        `GET ${path}?${ASKED}&token=${token} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;
      const peers = await Promise.all(
        Array.from({ length: 60 }, () => RawPeer.request(service.port, request("/api/v2/events"))),
      );
      const statuses = peers.map(({ status }) => status);
      assert.equal(statuses.filter((status) => status === 200).length, 40);
      assert.equal(statuses.filter((status) => status === 429).length, 20);
      assert.equal(service.app.seats.taken, 40);
      for (const peer of peers) peer.vanish();
      await until(() => service.app.manager.connectionCount === 0, { withinMs: 15_000 });
    },
    { MAX_CONNECTIONS_PER_USER: "40" },
  );

  test("a page of another origin is refused, and an allowed one may read", async (service) => {
    const headers = { ...await bearer(), origin: "https://evil.example" };
    await assertRefused(await ask(service, ASKED, { headers }), {
      status: 403,
      code: "origin_not_allowed",
    });
    await using client = await EventClient.open(`${service.origin}/api/v2/events?${ASKED}`, {
      headers: { ...headers, origin: ORIGIN },
    });
    assert.equal(client.response.headers.get("access-control-allow-origin"), ORIGIN);
    const preflight = await ask(service, ASKED, {
      method: "OPTIONS",
      headers: {
        origin: ORIGIN,
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization,last-event-id",
      },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get("access-control-allow-origin"), ORIGIN);
    const allowed = preflight.headers.get("access-control-allow-headers") ?? "";
    assert.match(allowed, /authorization/i);
    assert.match(allowed, /last-event-id/i);
  }, { ALLOWED_ORIGINS: ORIGIN });

  test("HEAD is answered like GET, without a stream; other methods are refused", async (service) => {
    const headers = await bearer();
    const head = await ask(service, ASKED, { method: "HEAD", headers });
    assert.equal(head.status, 200);
    assert.equal(head.headers.get("content-type"), "text/event-stream");
    assert.equal(head.headers.get("cache-control"), "no-store");
    assert.equal(await head.text(), "");
    assert.equal((await ask(service, ASKED, { method: "HEAD" })).status, 401);
    assert.equal((await ask(service, "x=1", { method: "HEAD", headers })).status, 400);
    const options = await ask(service, ASKED, { method: "OPTIONS" });
    assert.equal(options.status, 204);
    assert.equal(options.headers.get("allow"), "GET, HEAD, OPTIONS");
    const post = await ask(service, ASKED, { method: "POST", headers });
    assert.equal(post.headers.get("allow"), "GET, HEAD, OPTIONS");
    await assertRefused(post, { status: 405, code: "method_not_allowed" });
    assert.equal(service.log.of("connected").length, 0);
  });

  test(
    "ids and names that look like framing are data and nothing else",
    async (service, sources) => {
      const id = "data: x\u2028id: 1";
      const metric = "a\n\nevent: error\ndata: {}\n\nid: 9";
      sources.put("acme", id, sampleAt(1, { [metric]: "\r\nretry: 1\r\n" }));
      const query = new URLSearchParams({ device_id: id, metrics: metric });
      await using client = await EventClient.open(`${service.origin}/api/v2/events?${query}`, {
        headers: await bearer(),
      });
      const { data } = await client.next(({ device_id, type }) =>
        type === "telemetry" && device_id === id
      );
      assert.deepEqual(data.metrics, { [metric]: "\r\nretry: 1\r\n" });
      assert.deepEqual(client.parser.unknown, []);
      assert(client.events.every(({ type }) => type !== "error"));
      assert.match(client.lastEventId, /^\d{4}-.*Z$/);
    },
  );

  test("neither a token in the address nor a ticket is ever logged", async (service) => {
    const tokens = [await signToken(), await signToken({ role: "guest" })];
    for (const token of tokens) {
      const response = await ask(service, `${ASKED}&token=${token}`);
      await response.body?.cancel();
    }
    await until(() => service.app.manager.connectionCount === 0, { withinMs: 15_000 });
    assert(service.log.of("connected").length === 1);
    assertNoToken(service.log, tokens);
  });

  Deno.test(`Event streams (${engine}): a service that leaves lets nobody in`, async () => {
    await using house = await serveEvents({ engine });
    house.house.door.shut();
    await assertRefused(await fetch(house.url()), {
      status: 503,
      code: "going_away",
      isPassing: true,
    });
    assert.equal(house.entered.length, 0);
  });

  Deno.test(`Event streams (${engine}): a fault of ours while letting in is answered, and holds no seat`, async () => {
    await using house = await serveEvents({
      engine,
      onEntered: () => {
        throw new Error("secret");
      },
    });
    const response = await fetch(house.url());
    assert.doesNotMatch(await response.clone().text(), /secret/);
    await assertRefused(response, { status: 500, code: "internal", isPassing: true });
    assert.equal(house.house.seats.taken, 0);
  });
}
