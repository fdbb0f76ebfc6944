// What an event stream is made of and how it lives and ends, on both engines: framing, ids, quiet hours, readers that take
// nothing, and clients that leave.
import assert from "node:assert/strict";
import { CLOSINGS } from "../../src/errors.ts";
import { frameOf } from "../../src/protocol/frame.ts";
import type { ServerMessage } from "../../src/protocol/server_messages.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { EventClient } from "../events/event_client.ts";
import { RawPeer } from "../sockets/raw_peer.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { openDescriptors } from "../support/process_usage.ts";
import { startService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { pause, until } from "../support/until.ts";
import { ENGINE_NAMES, type EngineName, serveEvents } from "./events_fixture.ts";

const FIRST_ID = "2026-11-18T11:00:00.000000001Z";
const SECOND_ID = "2026-11-18T11:00:05.000000002Z";
/** More than a kernel, an engine and a client hold of what nobody reads. */
const UNREAD_BYTES = 24 * 1_024 * 1_024;

/** Texts that would break out of an event if anything of them stood there as it is. */
const AWKWARD: readonly string[] = [
  "\n\nevent: error\ndata: {}\n\n",
  "\r\rid: 1\r",
  "\r\n: comment\r\n",
  "\u2028\u2029\u0085\u0000\uFEFF",
  "data: x",
  "\u{1F600} é \\n \\\\n",
  "</script>",
];

function telemetry(deviceId: string, metrics: Record<string, string | number>): ServerMessage {
  return {
    type: "telemetry",
    device_id: deviceId,
    data: { timestamp: FIRST_ID, metrics },
  };
}

/** Waits until nothing is taken any more, and returns what waits then. */
async function untilStill(socket: Socket): Promise<number> {
  let before = -1;
  await until(async () => {
    const isStill = before === socket.bufferedBytes;
    before = socket.bufferedBytes;
    if (!isStill) await pause(200);
    return isStill;
  }, { withinMs: 20_000, what: "A reader that takes nothing" });
  return before;
}

for (const engine of ENGINE_NAMES) {
  const test = (behaviour: string, run: () => Promise<void>) =>
    Deno.test(`Event stream (${engine}): ${behaviour}`, run);

  test("each message is one event, named by its type, whatever stands in it", async () => {
    await using house = await serveEvents({ engine });
    await using client = await EventClient.open(house.url());
    const { socket } = await house.stream();
    const messages = AWKWARD.flatMap((text) => [
      telemetry(text, { [text]: text, n: 1 }),
      { type: "error", message: text, code: "internal" } as const,
    ]);
    for (const message of messages) socket.send([frameOf(message)]);
    socket.send(messages.map((message) => frameOf(message)));
    await until(() => client.messages.length === 2 * messages.length, { withinMs: 15_000 });
    assert.deepEqual(client.messages, [...messages, ...messages]);
    assert.deepEqual(
      client.events.map(({ type }) => type),
      [...messages, ...messages].map(({ type }) => type),
    );
    assert.deepEqual(client.parser.unknown, []);
    assert(client.parser.isBetweenEvents);
  });

  test("a message's JSON is byte for byte what a WebSocket's client is sent", async () => {
    await using house = await serveEvents({ engine });
    await using client = await EventClient.open(house.url());
    const { socket } = await house.stream();
    const frame = frameOf(telemetry("dev-1", { temp_c: 21.5, note: "é\n" }));
    socket.send([frame]);
    await client.next(({ type }) => type === "telemetry");
    assert.equal(client.events[0]?.data, JSON.stringify(frame.message));
  });

  test("only the last of what is sent together says where to come back to", async () => {
    await using house = await serveEvents({ engine });
    await using client = await EventClient.open(house.url());
    const { socket } = await house.stream();
    const shared = frameOf(telemetry("dev-1", { n: 1 }));
    socket.send([shared, shared, shared], FIRST_ID);
    socket.send([shared, shared]);
    socket.send([shared], SECOND_ID);
    await until(() => client.events.length === 6, { withinMs: 15_000 });
    assert.deepEqual(
      client.events.map(({ id }) => id),
      [null, null, FIRST_ID, null, null, SECOND_ID],
    );
    assert.equal(client.events[4]?.lastEventId, FIRST_ID);
  });

  test("where to come back to can be said without an event", async () => {
    await using house = await serveEvents({ engine });
    await using client = await EventClient.open(house.url());
    const { socket } = await house.stream();
    socket.send([], FIRST_ID);
    await until(() => client.lastEventId === FIRST_ID, { withinMs: 15_000 });
    assert.deepEqual(client.events, []);
    socket.send([]);
    socket.send([frameOf({ type: "pong" })]);
    await client.next(({ type }) => type === "pong");
    assert.equal(client.lastEventId, FIRST_ID);
  });

  test("it greets with notices and asks for what the query says, in this order", async () => {
    await using house = await serveEvents({ engine });
    const query = "?device_id=a&device_id=b%2Fc&alerts=1&fleet=1&token=t";
    await using _client = await EventClient.open(house.url(query));
    const { texts } = await house.stream();
    assert.deepEqual(texts.map((text) => JSON.parse(text)), [
      { action: "hello", features: ["notices"] },
      { action: "subscribe", type: "device", device_ids: ["a", "b/c"] },
      { action: "subscribe", type: "alerts" },
      { action: "subscribe", type: "fleet" },
    ]);
  });

  test("its head says that it is one, that nobody may keep it, and that proxies must not gather it", async () => {
    await using house = await serveEvents({ engine });
    await using client = await EventClient.open(house.url());
    const { headers } = client.response;
    assert.equal(headers.get("content-type"), "text/event-stream");
    assert.equal(headers.get("cache-control"), "no-store");
    assert.equal(headers.get("x-accel-buffering"), "no");
  });

  test("its head comes before anything is sent", async () => {
    await using house = await serveEvents({ engine });
    // It resolves with the head.
    const client = await EventClient.open(house.url(), { isWaiting: true });
    assert.equal((await house.stream()).closes.length, 0);
    await client.leave();
  });

  test("a quiet stream is kept awake by comments, and by nothing that a client would hear", async () => {
    await using house = await serveEvents({ engine, routes: { keepAwakeMs: 30 } });
    await using client = await EventClient.open(house.url());
    await until(() => client.parser.comments.length >= 3, { withinMs: 15_000 });
    assert.deepEqual(client.events, []);
    assert.equal(client.lastEventId, "");
  });

  test("a client that leaves is gone at once, however quiet it is, and once only", async () => {
    await using house = await serveEvents({ engine });
    const client = await EventClient.open(house.url());
    const { socket, closes } = await house.stream();
    assert.equal(house.house.seats.taken, 1);
    await client.leave();
    await until(() => closes.length > 0, { withinMs: 15_000, what: "The end" });
    socket.close(CLOSINGS.draining.closeCode, CLOSINGS.draining.sentence);
    socket.terminate();
    socket.send([frameOf({ type: "pong" })], FIRST_ID);
    assert.deepEqual(closes, [1006]);
    assert.equal(socket.bufferedBytes, 0);
    assert.equal(house.house.seats.taken, 0);
  });

  test("a client that leaves while its token is verified takes no seat along", async () => {
    const verified = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    await using house = await serveEvents({
      engine,
      door: {
        async verify() {
          asked.resolve();
          await verified.promise;
          return {
            tenantId: "acme",
            userId: "user-1",
            email: null,
            role: "customer_viewer",
            expiresAt: 8.64e15,
          };
        },
      },
    });
    const controller = new AbortController();
    const opening = fetch(house.url(), { signal: controller.signal });
    await asked.promise;
    controller.abort();
    await assert.rejects(opening);
    verified.resolve();
    const { closes } = await house.stream();
    await until(() => closes.length === 1 && house.house.seats.taken === 0, { withinMs: 15_000 });
  });

  test("what its reader has not taken is counted, and arrives whole once it reads", async () => {
    await using house = await serveEvents({ engine });
    const client = await EventClient.open(house.url(), { isWaiting: true });
    const { socket } = await house.stream();
    const frame = frameOf(telemetry("dev-1", { filling: "x".repeat(1_024 * 1_024) }));
    let sent = 0;
    while (sent < 2 * UNREAD_BYTES) {
      socket.send([frame]);
      sent += frame.event?.byteLength ?? 0;
    }
    const bufferedBytes = await untilStill(socket);
    assert(bufferedBytes >= UNREAD_BYTES, `${bufferedBytes} of ${sent} bytes are counted`);
    // It stays so: nothing takes what nobody reads.
    await pause(100);
    assert.equal(socket.bufferedBytes, bufferedBytes);
    client.read();
    await until(() => socket.bufferedBytes === 0, { withinMs: 30_000, what: "A taken stream" });
    const count = sent / (frame.event?.byteLength ?? 1);
    await until(() => client.messages.length === count, { withinMs: 30_000 });
    assert(client.messages.every(({ data }) => data.metrics.filling.length === 1_024 * 1_024));
    await client.leave();
  });

  test("no comment is put on top of what its reader has not taken", async () => {
    await using house = await serveEvents({ engine, routes: { keepAwakeMs: 5 } });
    const client = await EventClient.open(house.url(), { isWaiting: true });
    const { socket } = await house.stream();
    const filling = frameOf(telemetry("dev-1", { filling: "x".repeat(UNREAD_BYTES) }));
    socket.send([filling]);
    socket.send([filling]);
    const bufferedBytes = await untilStill(socket);
    assert(bufferedBytes > 0);
    await pause(100);
    assert.equal(socket.bufferedBytes, bufferedBytes);
    await client.leave();
  });

  test("a closed stream ends with its error, behind all that was sent before, and takes nothing more", async () => {
    await using house = await serveEvents({ engine });
    await using client = await EventClient.open(house.url());
    const { socket, closes } = await house.stream();
    const frame = frameOf(telemetry("dev-1", { filling: "x".repeat(100_000) }));
    socket.send(Array.from({ length: 20 }, () => frame), FIRST_ID);
    const { closeCode, sentence } = CLOSINGS.invalid_token;
    socket.close(closeCode, sentence);
    socket.send([frame], SECOND_ID);
    socket.close(CLOSINGS.draining.closeCode, CLOSINGS.draining.sentence);
    assert.deepEqual(await client.ending(), {
      type: "error",
      message: "Invalid or expired token",
      code: "invalid_token",
    });
    assert.equal(client.events.at(-1)?.type, "error");
    assert.equal(client.events.length, 21);
    assert.equal(client.lastEventId, FIRST_ID);
    assert.deepEqual(closes, [4001]);
    assert.equal(house.house.seats.taken, 0);
  });

  for (
    const [code, name] of [
      [1001, "going_away"],
      [1008, "too_many_crossings"],
      [1009, "message_too_big"],
      [1011, "internal"],
      [1012, "draining"],
      [1013, "too_many_connections"],
      [4001, "invalid_token"],
      [4003, "not_allowed"],
      [4008, "slow_client"],
    ] as const
  ) {
    test(`what closes a socket with ${code} is called ${name} at its end`, async () => {
      await using house = await serveEvents({ engine });
      await using client = await EventClient.open(house.url());
      (await house.stream()).socket.close(code, "Why");
      assert.deepEqual(await client.ending(), { type: "error", message: "Why", code: name });
    });
  }

  test("after its end the connection serves another request", async () => {
    await using house = await serveEvents({ engine });
    const target = new URL(house.url());
    const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;
    using peer = await RawPeer.request(house.port, request(target.pathname + target.search));
    assert.equal(peer.status, 200);
    const { socket } = await house.stream();
    socket.close(CLOSINGS.draining.closeCode, CLOSINGS.draining.sentence);
    assert.match(await peer.readText("\r\n0\r\n\r\n"), /event: error\ndata: \{.*"draining"\}\n\n/);
    await peer.write(new TextEncoder().encode(request("/livez")));
    assert.match(await peer.readText("ok\n"), /^HTTP\/1\.1 200 /);
  });

  test("a door that was shut meanwhile ends it with draining", async () => {
    await using house = await serveEvents({
      engine,
      door: { enter: () => assert.fail("Nobody is let in any more") },
    });
    const { door } = house.house;
    const judge = door.judge.bind(door);
    door.judge = async (...of) => {
      const entrance = await judge(...of);
      door.shut();
      return entrance;
    };
    await using client = await EventClient.open(house.url());
    assert.equal((await client.ending())?.code, "draining");
    await until(() => house.house.seats.taken === 0);
  });
}

Deno.test("Event stream (ws): a stuck peer is cut off, its descriptor freed, and what waited for it forgotten", async () => {
  await using house = await serveEvents({ engine: "ws" });
  const target = new URL(house.url());
  using peer = await RawPeer.request(
    house.port,
    `GET ${target.pathname}${target.search} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`,
  );
  const { socket, closes } = await house.stream();
  const descriptors = await openDescriptors();
  socket.send([frameOf(telemetry("dev-1", { filling: "x".repeat(UNREAD_BYTES) }))]);
  socket.close(CLOSINGS.slow_client.closeCode, CLOSINGS.slow_client.sentence);
  // The good-bye stands behind what waits.
  await pause(100);
  assert.deepEqual(closes, []);
  socket.terminate();
  assert.deepEqual(closes, [4008]);
  assert.equal(socket.bufferedBytes, 0);
  await until(async () => await openDescriptors() < descriptors, {
    withinMs: 15_000,
    what: "A free descriptor",
  });
  assert.equal(await peer.endsWithin(15_000), true);
});

Deno.test("Event stream (ws): the engine's time-outs cut off a quiet stream only where nothing keeps it awake", async () => {
  const limits = { keepAliveTimeoutMs: 400, headerTimeoutMs: 200 };
  const endsBy = async (engine: EngineName, keepAwakeMs: number) => {
    await using house = await serveEvents({ engine, limits, routes: { keepAwakeMs } });
    await using client = await EventClient.open(house.url());
    const { closes } = await house.stream();
    const deadline = Date.now() + 3_000;
    await until(() => closes.length > 0 || Date.now() > deadline);
    return { isEnded: closes.length > 0, comments: client.parser.comments.length };
  };
  assert.equal((await endsBy("ws", 60_000)).isEnded, true);
  const awake = await endsBy("ws", 50);
  assert.equal(awake.isEnded, false);
  assert(awake.comments > 8, `${awake.comments} comments`);
});

for (const [PING_SECONDS, expectedMs] of [["10", 10_000], ["600", 30_000]] as const) {
  Deno.test(`With PING_SECONDS ${PING_SECONDS} a quiet stream is kept awake every ${expectedMs} ms`, async () => {
    const clock = fakeClock();
    await using service = await startService({
      sources: fakeSources(),
      clock,
      settings: { PING_SECONDS, WS_POLL_SECONDS: "3600" },
    });
    const token = await signToken({}, { nowMs: clock.now() });
    await using client = await EventClient.open(
      `${service.origin}/api/v2/events?device_id=dev-1&mode=every&token=${token}`,
    );
    await client.next(({ type }) => type === "subscribed");
    await clock.advance(expectedMs - 1_000);
    assert.equal(client.parser.comments.length, 0);
    for (let count = 1; count <= 3; count++) {
      await clock.advance(expectedMs);
      await until(() => client.parser.comments.length === count, { withinMs: 15_000 });
    }
    let isStopped = false;
    const stopping = service.stop().then(() => isStopped = true);
    // What leaving waits for is counted by the same clock.
    while (!isStopped) {
      await clock.advance(100);
      await pause(5);
    }
    await stopping;
  });
}
