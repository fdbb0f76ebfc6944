// The door by itself: what it counts, in which order it refuses, and that every place is given back.
import assert from "node:assert/strict";
import { AuthError } from "../../src/auth/auth_error.ts";
import type { Scope } from "../../src/auth/scope.ts";
import { frameText } from "../../src/protocol/frame.ts";
import { open, openDoor, SCOPE, statusOf } from "./door_fixture.ts";

Deno.test("Whose token is still being verified when the drain begins gets 503 and gives the seat back", async () => {
  const verified = Promise.withResolvers<Scope>();
  const { door, knock, seats } = openDoor({ verify: () => verified.promise });
  const admission = knock();
  assert.equal(seats.taken, 1);
  door.shut();
  verified.resolve(SCOPE);
  assert.equal(statusOf(await admission), 503);
  assert.equal(seats.taken, 0);
});

Deno.test("A socket that opens after the drain began is closed with 1012 and never enters", async () => {
  const { door, knock, entered, seats } = openDoor();
  const verdict = await knock();
  door.shut();
  const { socket, events } = open(verdict);
  assert.deepEqual(socket.closings, [{ code: 1012, reason: "Restarting" }]);
  assert.deepEqual(entered, []);
  events.closed(1012);
  assert.equal(seats.taken, 0);
});

Deno.test("A refused client that never opens its socket gives its place back, once", async () => {
  const { door, knock, seats } = openDoor({ limits: { refused_sockets: 1 } });
  const first = await knock("");
  assert(first.kind === "upgrade");
  assert.equal(door.refusedSockets, 1);
  assert.equal(statusOf(await knock("")), 401);
  first.abandoned();
  first.abandoned();
  assert.equal(door.refusedSockets, 0);
  assert.equal(seats.taken, 0);
  assert.equal(statusOf(await knock("")), 101);
});

Deno.test("A verifier that breaks is our own fault and not the client's, and costs no seat", async () => {
  const { knock, seats } = openDoor({ verify: () => Promise.reject(new TypeError("broken")) });
  await assert.rejects(knock(), new TypeError("broken"));
  assert.equal(seats.taken, 0);
});

Deno.test("A socket that can't be taken in gives its seat back and tells its engine why", async () => {
  const { knock, seats } = openDoor({
    enter: () => {
      throw new TypeError("no room");
    },
  });
  const verdict = await knock();
  assert.equal(seats.taken, 1);
  assert.throws(() => open(verdict), new TypeError("no room"));
  assert.equal(seats.taken, 0);
});

Deno.test("Connections in all: the one too many is 503 with Retry-After, before its token is looked at", async () => {
  let verified = 0;
  const { knock, ledger } = openDoor({
    limits: { connections: 2 },
    verify: () => (verified++, Promise.resolve(SCOPE)),
  });
  const first = await knock();
  await knock();
  const refused = await knock();
  assert(refused.kind === "respond");
  assert.equal(refused.response.status, 503);
  assert.equal(refused.response.headers.get("retry-after"), "5");
  assert.equal(await refused.response.text(), "More than 2 connections\n");
  assert.equal(verified, 2);
  assert.equal(ledger.crossings("connections"), 1);
  open(first).events.closed(1000);
  assert.equal(statusOf(await knock()), 101);
});

Deno.test("Connections from one address: the one too many is 429, others are let in", async () => {
  const { knock, ledger } = openDoor({ limits: { connections_per_address: 1 } });
  assert.equal(statusOf(await knock()), 101);
  const refused = await knock();
  assert(refused.kind === "respond");
  assert.equal(refused.response.status, 429);
  assert.equal(refused.response.headers.get("retry-after"), "5");
  assert.equal(await refused.response.text(), "More than 1 connections from this address\n");
  assert.equal(ledger.crossings("connections_per_address"), 1);
  assert.equal(statusOf(await knock(undefined, { address: "192.0.2.2" })), 101);
});

for (
  const [limit, sentence, other] of [
    ["connections_per_tenant", "of this tenant", { tenantId: "globex" }],
    ["connections_per_user", "of this user", { userId: "user-2" }],
  ] as const
) {
  Deno.test(`The limit ${limit} is told in an error, then 1013, and holds no seat of the others`, async () => {
    let scope: Scope = SCOPE;
    const { knock, ledger, seats, entered } = openDoor({
      limits: { [limit]: 1 },
      verify: () => Promise.resolve(scope),
    });
    const first = open(await knock());
    const refused = open(await knock());
    assert.deepEqual(refused.socket.take().map(frameText), [
      `{"type":"error","message":"More than 1 connections ${sentence}","code":"limit_exceeded",` +
      `"limit":"${limit}","value":1,"retry_after_ms":5000}`,
    ]);
    assert.deepEqual(refused.socket.closings, [{ code: 1013, reason: "Too many connections" }]);
    assert.equal(ledger.crossings(limit), 1);
    assert.equal(seats.takenBy("connections_per_tenant", "acme"), 1);
    scope = { ...SCOPE, ...other };
    assert.equal(statusOf(await knock()), 101);
    scope = SCOPE;
    refused.events.closed(1013);
    first.events.closed(1000);
    assert.equal(statusOf(await knock()), 101, "the place was given back");
    assert.equal(entered.length, 1);
  });
}

Deno.test("A user of the same name in another tenant is another user", async () => {
  let scope: Scope = SCOPE;
  const { knock } = openDoor({
    limits: { connections_per_user: 1 },
    verify: () => Promise.resolve(scope),
  });
  open(await knock());
  scope = { ...SCOPE, tenantId: "globex" };
  assert.deepEqual(open(await knock()).socket.closings, []);
});

Deno.test("Beyond MAX_REFUSED_SOCKETS one connection too many of a user is 429", async () => {
  const { knock, ledger } = openDoor({ limits: { connections_per_user: 1, refused_sockets: 0 } });
  await knock();
  const refused = await knock();
  assert(refused.kind === "respond");
  assert.equal(refused.response.status, 429);
  assert.equal(refused.response.headers.get("retry-after"), "5");
  assert.equal(ledger.crossings("refused_sockets"), 1);
});

Deno.test("Handshakes beyond the rate are 429, verify nothing, and waiting as long as told helps", async () => {
  let verified = 0;
  const { knock, ledger, clock, seats } = openDoor({
    limits: { handshakes_per_second: 1 },
    verify: () => (verified++, Promise.resolve(SCOPE)),
  });
  for (let i = 0; i < 10; i++) assert.equal(statusOf(await knock()), 101);
  for (let i = 0; i < 5; i++) {
    const refused = await knock();
    assert(refused.kind === "respond");
    assert.equal(refused.response.status, 429);
    assert.equal(refused.response.headers.get("retry-after"), "1");
  }
  assert.equal(verified, 10);
  assert.equal(seats.taken, 10);
  assert.equal(ledger.crossings("handshakes_per_second"), 5);
  assert.equal(statusOf(await knock(undefined, { address: "192.0.2.9" })), 101);
  await clock.advance(1_000);
  assert.equal(statusOf(await knock()), 101);
});

Deno.test("A header that a stranger wrote doesn't make a second client of it, one of a trusted proxy does", async () => {
  const via = (address: string, forwarded: string) => ({
    address,
    headers: { "x-forwarded-for": forwarded },
  });
  const limits = { connections_per_address: 1 };
  const alone = openDoor({ limits });
  assert.equal(statusOf(await alone.knock(undefined, via("192.0.2.1", "198.51.100.1"))), 101);
  assert.equal(statusOf(await alone.knock(undefined, via("192.0.2.1", "198.51.100.2"))), 429);
  const proxied = openDoor({ limits, trusted: ["192.0.2.0/24"] });
  assert.equal(statusOf(await proxied.knock(undefined, via("192.0.2.1", "198.51.100.1"))), 101);
  assert.equal(statusOf(await proxied.knock(undefined, via("192.0.2.1", "198.51.100.2"))), 101);
  const spoofed = via("192.0.2.1", "203.0.113.7, 198.51.100.1");
  assert.equal(statusOf(await proxied.knock(undefined, spoofed)), 429);
});

Deno.test("A page of another origin is refused with 403 before anything is counted or verified", async () => {
  let verified = 0;
  const { knock, seats } = openDoor({
    allowedOrigins: ["https://app.example.com"],
    verify: () => (verified++, Promise.resolve(SCOPE)),
  });
  const origins = [
    ...["https://evil.example", "null", "https://app.example.com.evil.example"],
    ...["http://app.example.com", "https://app.example.com:8443", "https://APP.example.com", ""],
  ];
  for (const origin of origins) {
    assert.equal(statusOf(await knock(undefined, { headers: { origin } })), 403, origin);
  }
  assert.equal(verified, 0);
  assert.equal(seats.taken, 0);
  const headers = { origin: "https://app.example.com" };
  assert.equal(statusOf(await knock(undefined, { headers })), 101);
  assert.equal(statusOf(await knock()), 101, "who is no browser names no origin");
});

Deno.test("Who is refused before its token is looked at is in the log, with reason and address alone", async () => {
  const { door, knock, log } = openDoor({
    allowedOrigins: ["https://app.example.com"],
    limits: { connections: 2, connections_per_address: 1, handshakes_per_second: 1 },
    trusted: ["10.0.0.1"],
  });
  const from = (client: string, headers: Record<string, string> = {}) => ({
    address: "10.0.0.1",
    headers: { "x-forwarded-for": client, ...headers },
  });
  await knock("?token=secret", from("192.0.2.1", { origin: "https://evil.example" }));
  await knock("?token=secret&ticket=secret", from("192.0.2.2"));
  assert.equal(statusOf(await knock("?token=secret", from("192.0.2.3"))), 101);
  await knock("?token=secret", from("192.0.2.3"));
  assert.equal(statusOf(await knock("?token=secret", from("2001:db8::1"))), 101);
  await knock("?token=secret", from("192.0.2.5"));
  for (let nth = 0; nth < 9; nth++) await knock("?token=secret", from("192.0.2.5"));
  await knock("?token=secret", from("192.0.2.5"));
  const refusals = log.of("stranger_refused");
  assert.deepEqual(refusals.slice(0, 4).map(({ fields }) => fields), [
    { reason: "origin_not_allowed", address: "192.0.2.1" },
    { reason: "ambiguous_credential", address: "192.0.2.2" },
    { reason: "connections_per_address", address: "192.0.2.3" },
    { reason: "connections", address: "192.0.2.5" },
  ]);
  assert.deepEqual(refusals.at(-1)?.fields, {
    reason: "handshakes_per_second",
    address: "192.0.2.5",
  });
  // What repeats itself is damped as warnings are.
  assert(refusals.every(({ level }) => level === "warning"));
  const before = refusals.length;
  door.shut();
  await knock("?token=secret", from("192.0.2.9"));
  assert.equal(log.of("stranger_refused").length, before, "a drain refuses everybody");
});

Deno.test("Where no origins are set every page may come", async () => {
  const { knock } = openDoor();
  assert.equal(
    statusOf(await knock(undefined, { headers: { origin: "https://any.example" } })),
    101,
  );
});

const TOKEN = "aaaa.bbbb.cccc";
const WAYS: Readonly<Record<string, [query: string, headers: Record<string, string>]>> = {
  "the query": [`?token=${TOKEN}`, {}],
  "the header": ["", { authorization: `Bearer ${TOKEN}` }],
  "the subprotocol": ["", { "sec-websocket-protocol": `pulsewire, bearer.${TOKEN}` }],
  "the subprotocol without spaces": ["", {
    "sec-websocket-protocol": `pulsewire,bearer.${TOKEN}`,
  }],
  "the subprotocol in the other order": ["", {
    "sec-websocket-protocol": `bearer.${TOKEN} , pulsewire`,
  }],
};
for (const [way, [query, headers]] of Object.entries(WAYS)) {
  Deno.test(`A token may come in ${way}`, async () => {
    const seen: string[] = [];
    const { knock } = openDoor({ verify: (token) => (seen.push(token), Promise.resolve(SCOPE)) });
    const verdict = await knock(query, { headers });
    assert(verdict.kind === "upgrade");
    assert.deepEqual(seen, [TOKEN]);
    assert.equal(verdict.protocol, way.includes("subprotocol") ? "pulsewire" : null);
  });
}

Deno.test("A bearer subprotocol without pulsewire is 400, as no answer could select one", async () => {
  const { knock, seats } = openDoor();
  const headers = { "sec-websocket-protocol": `bearer.${TOKEN}` };
  assert.equal(statusOf(await knock("", { headers })), 400);
  assert.equal(seats.taken, 0);
});

Deno.test("Any two credentials in one request are 400", async () => {
  const { knock, tickets } = openDoor();
  const ticket = tickets.issue(SCOPE);
  const authorization = `Bearer ${TOKEN}`;
  const subprotocol = { "sec-websocket-protocol": `pulsewire, bearer.${TOKEN}` };
  for (
    const [query, headers] of [
      [`?token=${TOKEN}`, { authorization }],
      [`?token=${TOKEN}`, subprotocol],
      [`?token=${TOKEN}&ticket=${ticket}`, {}],
      [`?ticket=${ticket}&ticket=${ticket}`, {}],
      ["", { authorization, ...subprotocol }],
      ["", { authorization: `${authorization}, ${authorization}` }],
    ] as const
  ) {
    assert.equal(statusOf(await knock(query, { headers })), 400, query);
  }
  assert.equal(statusOf(await knock(`?ticket=${ticket}`)), 101, "nothing was spent");
});

Deno.test("With the query switched off its token is not read, and counts as none", async () => {
  const seen: string[] = [];
  const { knock } = openDoor({
    accept: ["header", "subprotocol", "ticket"],
    verify: (token) => (seen.push(token), Promise.resolve(SCOPE)),
  });
  const { socket } = open(await knock(`?token=${TOKEN}`));
  assert.deepEqual(socket.closings, [{ code: 4001, reason: "Missing token parameter" }]);
  const headers = { authorization: "Bearer other.token.here" };
  assert.equal(statusOf(await knock(`?token=${TOKEN}`, { headers })), 101);
  assert.deepEqual(seen, ["other.token.here"]);
});

Deno.test("A ticket lets in once, and once only when two come with it at the same time", async () => {
  const { knock, tickets, entered } = openDoor();
  const ticket = tickets.issue(SCOPE);
  const verdicts = await Promise.all([1, 2, 3].map(() => knock(`?ticket=${ticket}`)));
  const sockets = verdicts.map((verdict) => open(verdict).socket);
  assert.equal(entered.length, 1);
  const invalid = { code: 4001, reason: "Invalid or expired token" };
  assert.deepEqual(sockets.flatMap(({ closings }) => closings), [invalid, invalid]);
});

Deno.test("A ticket that is expired, unknown or another process's is refused as a bad token is", async () => {
  const { knock, tickets, clock } = openDoor();
  const ticket = tickets.issue(SCOPE);
  await clock.advance(30_000);
  const elsewhere = openDoor().tickets.issue(SCOPE);
  for (const bad of [ticket, elsewhere, "x"]) {
    const { socket } = open(await knock(`?ticket=${bad}`));
    assert.deepEqual(socket.closings, [{ code: 4001, reason: "Invalid or expired token" }]);
  }
});

Deno.test("Who is turned away for lack of room has not spent the ticket", async () => {
  const { knock, tickets } = openDoor({ limits: { connections: 1 } });
  const ticket = tickets.issue(SCOPE);
  const first = await knock();
  assert.equal(statusOf(await knock(`?ticket=${ticket}`)), 503);
  open(first).events.closed(1000);
  const { socket } = open(await knock(`?ticket=${ticket}`));
  assert.deepEqual(socket.closings, []);
});

Deno.test("While keys are unavailable the answer is 503, and no place of the refused is used or counted", async () => {
  const { knock, door, ledger, seats } = openDoor({
    limits: { refused_sockets: 0 },
    verify: () => Promise.reject(new AuthError("keys_unavailable", "No keys")),
  });
  const refused = await knock();
  assert(refused.kind === "respond");
  assert.equal(refused.response.status, 503);
  assert.equal(refused.response.headers.get("retry-after"), "5");
  assert.equal(door.refusedSockets, 0);
  assert.equal(ledger.crossings("refused_sockets"), 0);
  assert.equal(seats.taken, 0);
});

Deno.test("A 401 names the scheme that it wants", async () => {
  const { knock } = openDoor({ limits: { refused_sockets: 0 } });
  const refused = await knock("");
  assert(refused.kind === "respond");
  assert.equal(refused.response.status, 401);
  assert.equal(refused.response.headers.get("www-authenticate"), "Bearer");
});
