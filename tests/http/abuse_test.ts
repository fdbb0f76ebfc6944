// What strangers and greedy clients try against the whole service, on both engines: each is told, counted, and costs the
// databases nothing.
import assert from "node:assert/strict";
import { OPCODE, RawPeer, upgradeRequest } from "../sockets/raw_peer.ts";
import { TestClient } from "../support/client.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { sampleAt } from "../support/samples.ts";
import { startService, type TestService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { until } from "../support/until.ts";

for (const WS_ENGINE of ["ws", "deno"]) {
  const sources = () => fakeSources();
  const start = (settings: Readonly<Record<string, string>> = {}, from = sources()) =>
    startService({ sources: from, settings: { WS_ENGINE, ...settings } });
  const test = (name: string, act: () => Promise<void>) =>
    Deno.test(`${name} (engine ${WS_ENGINE})`, act);
  const empty = (service: TestService) =>
    until(() => service.app.seats.taken === 0 && service.app.manager.connectionCount === 0, {
      what: "an empty house",
    });

  for (
    const [kind, message] of [
      ["text", "x".repeat(1_025)],
      ["text of wide characters", "ä".repeat(513)],
      ["binary", new Uint8Array(1_025)],
    ] as const
  ) {
    test(`A ${kind} message over MAX_MESSAGE_BYTES is closed with 1009 and no error before it`, async () => {
      await using service = await start({ MAX_MESSAGE_BYTES: "1024" });
      await using client = await service.connect();
      client.raw.send(typeof message === "string" ? "x".repeat(1_024) : new Uint8Array(1_024));
      await client.next(({ type }) => type === "error");
      client.raw.send(message);
      assert.equal((await client.closed).code, 1009);
      assert.equal(client.texts.length, 1, "nothing went before the close");
      assert.equal(service.app.ledger.crossings("message_bytes"), 1);
      await empty(service);
    });
  }

  test("A message over MAX_MESSAGE_BYTES in fragments is closed with 1009", async () => {
    await using service = await start({ MAX_MESSAGE_BYTES: "1024" });
    const path = `/api/v2/ws?token=${await signToken()}`;
    using peer = await RawPeer.upgrade(service.port, path);
    await peer.send(OPCODE.text, "x".repeat(600), { fin: false });
    await peer.send(OPCODE.continuation, "x".repeat(600));
    const frame = await peer.read();
    assert.equal(frame?.opcode, OPCODE.close);
    assert.equal((frame.payload[0] ?? 0) * 256 + (frame.payload[1] ?? 0), 1009);
    peer.vanish();
    await empty(service);
  });

  test("A loop of messages is refused, reads next to nothing, and is closed with 1008", async () => {
    const from = sources();
    await using service = await start({ MAX_MESSAGES_PER_SECOND: "1" }, from);
    await using client = await service.connect();
    for (let i = 0; i < 10; i++) await client.ask({ action: "ping" });
    // A token that comes back while the loop runs buys one message, however slow the machine.
    const taken = new Set<string>();
    // One at a time: the runtime's engine loses its close frame when more is on the way to it.
    for (let said = 0, refused = 0; refused < 20; said++) {
      const id = `dev-${said}`;
      const { type } = await client.ask({ action: "subscribe", type: "device", device_id: id });
      if (type === "error") refused++;
      else taken.add(id);
    }
    const { code, reason } = await client.closed;
    assert.deepEqual([code, reason], [1008, "Limits crossed too often"]);
    const errors = client.messages.filter(({ type }) => type === "error");
    assert.equal(errors.length, 20);
    for (const error of errors) {
      assert.deepEqual([error.limit, error.value], ["messages_per_second", 1]);
      assert(error.retry_after_ms > 0);
    }
    const read = from.telemetryReads.flatMap(({ deviceIds }) => deviceIds);
    assert.deepEqual(read.filter((id) => !taken.has(id)), [], "what was refused is not read");
    await empty(service);
  });

  test("A client that waits as long as it was told is served again", async () => {
    await using service = await start({ MAX_MESSAGES_PER_SECOND: "2" });
    await using client = await service.connect();
    // Some places come back while it asks, so that nobody can say how many it takes.
    let error = await client.ask({ action: "ping" });
    for (let i = 0; i < 200 && error.type !== "error"; i++) {
      error = await client.ask({ action: "ping" });
    }
    assert.equal(error.limit, "messages_per_second");
    await new Promise((resolve) => setTimeout(resolve, error.retry_after_ms));
    assert.equal((await client.ask({ action: "ping", id: 1 })).type, "pong");
  });

  test("The subscription too many is refused, the others push on", async () => {
    const from = sources();
    from.put("acme", "dev-1", sampleAt(1));
    from.put("acme", "dev-2", sampleAt(1));
    await using service = await start({ MAX_SUBSCRIPTIONS: "1" }, from);
    await using client = await service.connect();
    await client.subscribe("dev-1");
    assert.equal((await client.subscribe("dev-2")).limit, "subscriptions");
    assert.equal((await client.subscribe("dev-1")).type, "subscribed");
    await client.push("telemetry", "dev-1");
    assert(!client.messages.some(({ device_id }) => device_id === "dev-2"));
    assert(!from.telemetryReads.some(({ deviceIds }) => deviceIds.includes("dev-2")));
  });

  for (
    const [setting, limit] of [
      ["MAX_CONNECTIONS_PER_TENANT", "connections_per_tenant"],
      ["MAX_CONNECTIONS_PER_USER", "connections_per_user"],
    ] as const
  ) {
    test(`Beyond ${setting} an error names the limit, then the socket is closed with 1013`, async () => {
      await using service = await start({ [setting]: "1" });
      await using first = await service.connect();
      await using refused = await service.connect();
      const { code, reason } = await refused.closed;
      assert.deepEqual([code, reason], [1013, "Too many connections"]);
      const [error] = refused.messages;
      assert.deepEqual(
        [error?.code, error?.limit, error?.value, error?.retry_after_ms],
        ["limit_exceeded", limit, 1, 5_000],
      );
      assert.equal(service.app.ledger.crossings(limit), 1);
      await using stranger = await service.connect({ tenant_id: "globex", sub: "another" });
      assert.equal((await stranger.ask({ action: "ping" })).type, "pong");
      await first.close();
      await until(async () => {
        await using next = await service.connect();
        const pong = next.ask({ action: "ping" }).then(() => true, () => false);
        return await Promise.race([pong, next.closed.then(() => false)]);
      });
    });
  }

  for (
    const [setting, status, limit] of [
      ["MAX_CONNECTIONS", 503, "connections"],
      ["MAX_CONNECTIONS_PER_ADDRESS", 429, "connections_per_address"],
    ] as const
  ) {
    test(`Beyond ${setting} the answer is ${status} with Retry-After, until a place is free`, async () => {
      await using service = await start({ [setting]: "2" });
      const clients = [await service.connect(), await service.connect()];
      const request = upgradeRequest(`/api/v2/ws?token=${await signToken()}`);
      using refused = await RawPeer.request(service.port, request);
      assert.equal(refused.status, status);
      assert.match(refused.head, /\r\nretry-after: 5/i);
      assert.equal(service.app.ledger.crossings(limit), 1);
      await clients[0]?.close();
      await until(async () => {
        using peer = await RawPeer.request(service.port, request);
        return peer.status === 101;
      });
      await clients[1]?.close();
    });
  }

  test("Handshakes beyond the rate are 429 with Retry-After, with a good token, too", async () => {
    await using service = await start({ MAX_HANDSHAKES_PER_SECOND: "1" });
    const request = upgradeRequest(`/api/v2/ws?token=${await signToken()}`);
    const heads: string[] = [];
    // Some places come back while it knocks, so that nobody can say how many it takes.
    while (!heads.at(-1)?.startsWith("HTTP/1.1 429") && heads.length < 100) {
      using peer = await RawPeer.request(service.port, request);
      heads.push(peer.head);
    }
    const refused = heads.pop() ?? "";
    assert.match(refused, /^HTTP\/1\.1 429 .*\r\n(.*\r\n)*retry-after: 1/i);
    assert(heads.length >= 10 && heads.every((head) => head.startsWith("HTTP/1.1 101")));
    await empty(service);
  });

  test("An X-Forwarded-For that a client wrote itself buys it nothing, one of a trusted proxy counts", async () => {
    const knock = async (service: TestService, forwarded: string) => {
      const headers = [`X-Forwarded-For: ${forwarded}`];
      const path = `/api/v2/ws?token=${await signToken()}`;
      return await RawPeer.request(service.port, upgradeRequest(path, { headers }));
    };
    for (const trusted of [false, true]) {
      await using service = await start({
        MAX_CONNECTIONS_PER_ADDRESS: "1",
        ...(trusted ? { TRUSTED_PROXIES: "127.0.0.0/8" } : {}),
      });
      using first = await knock(service, "198.51.100.1");
      using second = await knock(service, "198.51.100.2");
      using third = await knock(service, "9.9.9.9, 198.51.100.1");
      assert.equal(first.status, 101);
      assert.equal(second.status, trusted ? 101 : 429);
      assert.equal(third.status, 429);
      for (const peer of [first, second, third]) peer.vanish();
      await empty(service);
    }
  });

  test("A page of a foreign origin gets 403 and no socket, one of an allowed origin gets in", async () => {
    await using service = await start({ ALLOWED_ORIGINS: "https://app.example.com" });
    const token = await signToken();
    const knock = (origin: string) =>
      RawPeer.request(
        service.port,
        upgradeRequest(`/api/v2/ws?token=${token}`, { headers: [`Origin: ${origin}`] }),
      );
    for (const [origin, status] of [["https://evil.example", 403], ["null", 403]] as const) {
      using peer = await knock(origin);
      assert.equal(peer.status, status);
    }
    using peer = await knock("https://app.example.com");
    assert.equal(peer.status, 101);
    peer.vanish();
    await empty(service);
  });

  test("A token may come in a header or in the subprotocol, and pulsewire is selected", async () => {
    await using service = await start({ ALLOW_QUERY_TOKEN: "false" });
    const token = await signToken();
    await using client = await TestClient.connect(service.socketUrl(), [
      "pulsewire",
      `bearer.${token}`,
    ]);
    assert.equal(client.raw.protocol, "pulsewire");
    assert.equal((await client.ask({ action: "ping" })).type, "pong");
    const rows: ReadonlyArray<readonly [header: string, status: number]> = [
      [`Authorization: Bearer ${token}`, 101],
      [`Sec-WebSocket-Protocol: pulsewire,bearer.${token}`, 101],
      [`Sec-WebSocket-Protocol: bearer.${token}`, 400],
    ];
    for (const [header, status] of rows) {
      using peer = await RawPeer.request(
        service.port,
        upgradeRequest("/api/v2/ws", { headers: [header] }),
      );
      assert.equal(peer.status, status, header.slice(0, 40));
      const isOffered = header.includes("pulsewire,");
      assert.equal(/\r\nsec-websocket-protocol: pulsewire(\r|$)/i.test(peer.head), isOffered);
      assert(!peer.head.includes(token));
    }
    await using query = await TestClient.connect(service.socketUrl(token));
    assert.deepEqual(await query.closed, { code: 4001, reason: "Missing token parameter" });
  });

  test("A socket ends when its token ends, warned or not", async () => {
    await using service = await start({ JWT_CLOCK_TOLERANCE_SECONDS: "0" });
    // Time enough for a slow machine to connect, ask and renew.
    const exp = Math.ceil(Date.now() / 1_000) + 4;
    await using warned = await service.connect({ exp });
    await using core = await service.connect({ exp });
    const { token_expires_at } = await warned.ask({ action: "hello", features: ["notices"] });
    assert.equal(Date.parse(token_expires_at), exp * 1_000);
    // The warning was due before anybody could ask for it, so that it follows at once.
    const warning = await warned.next(({ type }) => type === "token_expiring");
    assert.equal(warning.expires_at, token_expires_at);
    const token = await signToken();
    const { type, expires_at } = await warned.ask({ action: "auth", token });
    assert.equal(type, "authenticated");
    assert(Date.parse(expires_at) > Date.now() + 3_000_000);
    assert.deepEqual(await core.closed, { code: 4001, reason: "Invalid or expired token" });
    assert(Date.now() >= exp * 1_000);
    assert.deepEqual(core.texts, []);
    assert.equal((await warned.ask({ action: "ping" })).type, "pong");
    warned.send({ action: "auth", token: await signToken({ sub: "user-2" }) });
    assert.deepEqual(await warned.closed, { code: 4003, reason: "Unauthorized" });
    await empty(service);
  });

  test("A client that only speaks the core protocol is sent, byte for byte, what it was sent before", async () => {
    const from = sources();
    from.put("acme", "dev-1", sampleAt(1, { temp_c: 22 }));
    await using service = await start({ WS_POLL_SECONDS: "3600" }, from);
    await using client = await service.connect();
    const said = [
      '{"action":"subscribe","type":"device","device_id":"dev-1"}',
      '{"action":"unsubscribe","type":"device","device_id":"dev-1"}',
      "{",
      '{"action":"fly"}',
      '{"action":"subscribe","type":"site"}',
    ];
    for (const text of said) {
      const from = client.texts.length;
      client.send(text);
      await client.next(({ type }) => type !== "telemetry", { from });
      if (text === said[0]) await client.next(({ type }) => type === "telemetry");
    }
    await service.app.drain(100);
    assert.equal((await client.closed).code, 1012);
    assert.deepEqual(client.texts, [
      '{"type":"subscribed","channel":"device","device_id":"dev-1"}',
      '{"type":"telemetry","device_id":"dev-1","data":{"timestamp":' +
      '"2026-11-18T11:00:01.000000000Z","metrics":{"temp_c":22}}}',
      '{"type":"unsubscribed","channel":"device","device_id":"dev-1"}',
      '{"type":"error","message":"Message is not valid JSON","code":"invalid_json"}',
      '{"type":"error","message":"Unknown action, expected \\"subscribe\\" or \\"unsubscribe\\"",' +
      '"code":"unknown_action"}',
      '{"type":"error","message":"Unknown type, expected \\"device\\" or \\"alerts\\"",' +
      '"code":"unknown_type"}',
    ]);
  });
}

for (
  const [who, trusted, most] of [
    ["A stranger holds no more connections than its share", "", 36],
    ["A trusted proxy holds as many connections as it likes", "127.0.0.1", 40],
  ] as const
) {
  Deno.test(`${who} without a token`, async () => {
    const settings = { MAX_CONNECTIONS_PER_ADDRESS: "20", TRUSTED_PROXIES: trusted };
    await using service = await startService({ sources: fakeSources(), settings });
    const peers: (RawPeer | null)[] = [];
    for (let nth = 0; nth < 40; nth++) {
      const request = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
      peers.push(await RawPeer.request(service.port, request).catch(() => null));
    }
    assert.equal(peers.filter((peer) => peer?.status === 200).length, most);
    assert.equal(service.app.ledger.crossings("connections_per_address"), 40 - most);
    for (const peer of peers) peer?.vanish();
  });
}
