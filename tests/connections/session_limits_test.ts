// What one connection may ask for: each limit crossed, named in the error, counted, and paid for by its client alone.
import assert from "node:assert/strict";
import { frameText } from "../../src/protocol/frame.ts";
import {
  connectionsFixture,
  HIGH_WATER_BYTES,
  type TestConnection,
} from "./connections_fixture.ts";

const PING = '{"action":"ping"}';
const types = (client: TestConnection) => client.take().map(({ type }) => type);

Deno.test("A flood of messages is told the limit, its value and how long to wait, and waiting helps", async () => {
  using service = connectionsFixture({ limits: { messages_per_second: 2 } });
  const client = service.connect();
  for (let i = 0; i < 20; i++) client.say(PING);
  assert.deepEqual(new Set(types(client)), new Set(["pong"]));
  client.say('{"action":"ping","id":"late"}');
  assert.deepEqual(client.texts(), [
    '{"type":"error","message":"More than 2 messages a second","code":"rate_limited",' +
    '"limit":"messages_per_second","value":2,"retry_after_ms":500,"id":"late"}',
  ]);
  assert.equal(service.ledger.crossings("messages_per_second"), 1);
  await service.clock.advance(500);
  client.say(PING);
  assert.deepEqual(types(client), ["pong"]);
  assert.deepEqual(client.socket.closings, []);
});

Deno.test("A device id over the limit is told the limit and its value, counts, and 20 of them end the connection", () => {
  using service = connectionsFixture({ limits: { device_id_bytes: 8 } });
  const client = service.connect();
  client.follow("12345678");
  client.say('{"action":"subscribe","type":"device","device_id":"12345678ä","id":1}');
  assert.deepEqual(client.texts().slice(1), [
    '{"type":"error","message":"device_id must be at most 8 bytes of UTF-8",' +
    '"code":"invalid_device_id","limit":"device_id_bytes","value":8,"id":1}',
  ]);
  assert.deepEqual([...client.connection.devices.keys()], ["12345678"]);
  for (let i = 0; i < 18; i++) client.follow("123456789");
  assert.equal(client.socket.closings.length, 0);
  client.follow("123456789");
  assert.equal(service.ledger.crossings("device_id_bytes"), 20);
  assert.deepEqual(client.socket.closings.map(({ code }) => code), [1008]);
});

Deno.test("A flood is stopped before it does anything: no subscription, no read", async () => {
  using service = connectionsFixture({ limits: { messages_per_second: 1 } });
  const client = service.connect();
  for (let i = 0; i < 10; i++) client.say(PING);
  for (let i = 0; i < 15; i++) client.follow(`dev-${i}`);
  client.followAlerts();
  client.sayBinary(10);
  await service.clock.advance(300);
  assert.equal(client.connection.devices.size, 0);
  assert.deepEqual(service.sources.telemetryReads, []);
  assert.deepEqual(service.sources.alertReads, []);
  assert.equal(service.ledger.crossings("messages_per_second"), 17);
});

Deno.test("A flood of nonsense and of binary frames counts as messages do", () => {
  using service = connectionsFixture({ limits: { messages_per_second: 1 } });
  const client = service.connect();
  for (let i = 0; i < 5; i++) client.say("{");
  for (let i = 0; i < 5; i++) client.sayBinary(1);
  client.take();
  client.sayBinary(1);
  client.say("{");
  assert.equal(service.ledger.crossings("messages_per_second"), 2);
});

Deno.test("One connection's flood takes nothing from another's messages", () => {
  using service = connectionsFixture({ limits: { messages_per_second: 1 } });
  const [flood, other] = [service.connect(), service.connect()];
  for (let i = 0; i < 15; i++) flood.say(PING);
  other.say(PING);
  assert.deepEqual(types(other), ["pong"]);
});

Deno.test("The one subscription too many is refused and concerns itself only", async () => {
  using service = connectionsFixture({ limits: { subscriptions: 2 } });
  const client = service.connect();
  client.follow("dev-1");
  client.follow("dev-2");
  client.take();
  client.say('{"action":"subscribe","type":"device","device_id":"dev-3","id":3}');
  assert.deepEqual(client.texts(), [
    '{"type":"error","message":"More than 2 device subscriptions","code":"limit_exceeded",' +
    '"limit":"subscriptions","value":2,"id":3}',
  ]);
  assert.equal(service.ledger.crossings("subscriptions"), 1);
  assert.deepEqual([...client.connection.devices.keys()], ["dev-1", "dev-2"]);
  client.follow("dev-1");
  client.followAlerts();
  assert.deepEqual(types(client), ["subscribed", "subscribed"], "again, and alerts, are no more");
  await service.clock.advance(600);
  assert(service.sources.telemetryReads.length > 0);
  for (const { deviceIds } of service.sources.telemetryReads) {
    assert(!deviceIds.includes("dev-3"), "who is over the limit costs no read");
  }
  client.unfollow("dev-1");
  client.follow("dev-3");
  assert.deepEqual([...client.connection.devices.keys()], ["dev-2", "dev-3"]);
});

Deno.test("A client that crosses limits 20 times within 10 s is closed with 1008 and told how long to wait", () => {
  using service = connectionsFixture({ limits: { subscriptions: 1 } });
  const client = service.connect();
  client.follow("dev-0");
  client.take();
  for (let i = 1; i < 20; i++) client.follow(`dev-${i}`);
  assert.deepEqual(client.socket.closings, []);
  client.take();
  client.follow("dev-20");
  const [last] = client.take();
  assert(last?.type === "error");
  assert.equal(last.retry_after_ms, 10_000);
  assert.deepEqual(client.socket.closings, [{ code: 1008, reason: "Limits crossed too often" }]);
  client.follow("dev-21");
  client.say(PING);
  assert.deepEqual(client.take(), [], "nothing more is heard");
  client.leave(1008);
  assert.equal(service.manager.connectionCount, 0);
});

Deno.test("Limits crossed now and then close nobody", async () => {
  using service = connectionsFixture({ limits: { subscriptions: 1 } });
  const client = service.connect();
  client.follow("dev-0");
  for (let i = 0; i < 100; i++) {
    client.follow("dev-1");
    await service.clock.advance(600);
  }
  assert.deepEqual(client.socket.closings, []);
});

Deno.test("A message over the limit is closed with 1009 and no error goes before it, text or binary", () => {
  for (
    const [say, isOver] of [
      [(client: TestConnection) => client.say("x".repeat(1_000)), false],
      [(client: TestConnection) => client.say("x".repeat(1_001)), true],
      [(client: TestConnection) => client.say("ä".repeat(501)), true],
      [(client: TestConnection) => client.sayBinary(1_000), false],
      [(client: TestConnection) => client.sayBinary(1_001), true],
    ] as const
  ) {
    using service = connectionsFixture({ limits: { message_bytes: 1_000 } });
    const client = service.connect();
    say(client);
    assert.equal(client.take().length, isOver ? 0 : 1);
    const closing = { code: 1009, reason: "Message is too big" };
    assert.deepEqual(client.socket.closings, isOver ? [closing] : []);
    assert.equal(service.ledger.crossings("message_bytes"), isOver ? 1 : 0);
  }
});

Deno.test("A message over the limit is 1009 also from a client that is over its rate", () => {
  using service = connectionsFixture({ limits: { message_bytes: 100, messages_per_second: 1 } });
  const client = service.connect();
  for (let i = 0; i < 12; i++) client.say(PING);
  client.say("x".repeat(101));
  assert.equal(client.socket.closings[0]?.code, 1009);
});

Deno.test("Pushes that a full socket misses are counted", async () => {
  using service = connectionsFixture();
  const client = service.connect();
  client.followAlerts();
  await service.clock.advance(400);
  client.socket.bufferedBytes = HIGH_WATER_BYTES;
  await service.tick();
  await service.tick();
  assert.equal(service.ledger.crossings("socket_buffer_bytes"), 2);
});

Deno.test("Who asks and asks and never reads is closed with 4008 before its answers fill memory", () => {
  using service = connectionsFixture({ limits: { messages_per_second: 100_000 } });
  const client = service.connect();
  client.socket.watch = (frames) => {
    for (const frame of frames) client.socket.bufferedBytes += frameText(frame).length;
  };
  for (let i = 0; i < 10_000; i++) client.say(PING);
  assert.deepEqual(client.socket.closings, [{ code: 4008, reason: "Too slow for too long" }]);
  assert(client.socket.bufferedBytes <= 2 * HIGH_WATER_BYTES + 200);
});

Deno.test("A closed connection that its engine can't end loses its interest after a while", async () => {
  using service = connectionsFixture();
  const client = service.connect();
  client.follow("dev-1");
  client.followAlerts();
  client.connection.close(4008, "Too slow for too long");
  await service.clock.advance(4_500);
  assert(client.socket.isTerminated);
  assert.equal(service.manager.connectionCount, 0);
  assert.equal(service.feeds.feedCount, 0);
  assert.equal(service.clock.timerCount, 0);
  client.leave(1006);
  assert.equal(service.log.of("disconnected").length, 1);
});
