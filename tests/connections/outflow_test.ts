// What a full socket does to history, and history to a full socket.
import assert from "node:assert/strict";
import { sampleAt } from "../support/samples.ts";
import {
  type ConnectionsFixture,
  connectionsFixture,
  SLOW_CLIENT_MS,
  type TestConnection,
} from "./connections_fixture.ts";

const MARK = 64_000;
/** Nobody is given much more at once than one page. */
const PAGE_BYTES = 50_000;

/** A device with samples enough for many pages, and a client whose socket keeps what it is sent. */
function withHistory(
  service: ConnectionsFixture,
  { deviceIds = ["dev-1"] }: { readonly deviceIds?: readonly string[] } = {},
): TestConnection {
  for (const deviceId of deviceIds) {
    for (let second = -3_000; second < 0; second++) {
      service.sources.put("acme", deviceId, sampleAt(second));
    }
  }
  const client = service.connect();
  client.socket.isFilling = true;
  return client;
}

const since = sampleAt(-3_001).timestamp;

Deno.test("History waits for the socket, page by page, and comes whole", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  const client = withHistory(service);
  client.subscribe("dev-1", { since });
  const seconds: string[] = [];
  for (let second = 0; second < 30; second++) {
    await service.clock.advance(500);
    assert.ok(client.socket.bufferedBytes <= MARK * 0.25 + PAGE_BYTES);
    for (const message of client.take()) {
      if (message.type !== "history") continue;
      seconds.push(...message.samples.map(({ timestamp }) => timestamp));
    }
    client.socket.bufferedBytes = 0;
  }
  assert.deepEqual(seconds, Array.from({ length: 3_000 }, (_, n) => sampleAt(n - 3_000).timestamp));
});

Deno.test("However many subscribes ask for history at once, they take turns", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  const deviceIds = Array.from({ length: 20 }, (_, number) => `dev-${number}`);
  const client = withHistory(service, { deviceIds });
  for (const deviceId of deviceIds) client.subscribe(deviceId, { since });
  const done = new Set<string>();
  for (let look = 0; look < 2_000 && done.size < deviceIds.length; look++) {
    await service.clock.advance(200);
    assert.ok(client.socket.bufferedBytes <= MARK + PAGE_BYTES);
    for (const message of client.take()) {
      if (message.type === "history" && message.done) done.add(message.device_id);
    }
    client.socket.bufferedBytes = 0;
  }
  assert.equal(done.size, deviceIds.length);
});

Deno.test("Pushes find room beside history, which nobody reads while the socket is full", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK, slowClientMs: Infinity });
  const client = withHistory(service);
  service.sources.put("acme", "dev-2", sampleAt(0));
  client.subscribe("dev-1", { since });
  client.follow("dev-2");
  await service.clock.advance(150);
  client.take();
  assert.ok(client.socket.bufferedBytes > MARK * 0.25);
  service.sources.historyReads.length = 0;
  for (let tick = 0; tick < 5; tick++) {
    await service.tick();
    assert.deepEqual(client.short(), ["dev-2 0"]);
  }
  client.socket.bufferedBytes = 0;
  await service.clock.advance(300);
  assert.deepEqual(client.take().map(({ type }) => type), ["history"], "the rest of what was read");
  await service.clock.advance(300);
  assert.deepEqual(service.sources.historyReads, [], "and no more is read before it has left");
});

Deno.test("A client that reads slowly is not closed while history flows", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  const client = withHistory(service);
  client.subscribe("dev-1", { since });
  await service.tick();
  for (let second = 0; second < 3 * SLOW_CLIENT_MS / 1_000; second++) {
    client.socket.bufferedBytes -= 500;
    await service.clock.advance(1_000);
  }
  assert.ok(client.socket.bufferedBytes > MARK * 0.25);
  assert.deepEqual(client.socket.closings, []);
});

Deno.test("A client that takes nothing of its history is closed with 4008", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  const client = withHistory(service);
  client.subscribe("dev-1", { since });
  await service.clock.advance(SLOW_CLIENT_MS - 1_000);
  assert.deepEqual(client.socket.closings, []);
  await service.clock.advance(3_000);
  assert.deepEqual(client.socket.closings.map(({ code }) => code), [4008]);
  client.leave();
  await service.clock.advance(1_000);
  assert.equal(service.clock.timerCount, 0);
});

Deno.test("Who takes its history at last, and is sent nothing else, does not count as stuck", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  const client = withHistory(service);
  client.subscribe("dev-1", { since, mode: "every" });
  await service.clock.advance(SLOW_CLIENT_MS - 1_000);
  client.socket.isFilling = false;
  // Little waits in it, and never nothing.
  client.socket.bufferedBytes = 100;
  await service.tick();
  assert.match(client.short().at(-1) ?? "", /done/);
  await service.clock.advance(2 * SLOW_CLIENT_MS);
  assert.deepEqual(client.socket.closings, []);
});

Deno.test("Who has taken all that it was sent does not count as stuck, though nothing else is due", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  service.sources.put("acme", "dev-1", sampleAt(-1));
  const client = service.connect();
  client.subscribe("dev-1", { changes_only: true });
  await service.tick();
  client.socket.bufferedBytes = MARK;
  service.sources.put("acme", "dev-1", sampleAt(0));
  await service.tick();
  client.unfollow("dev-1");
  client.socket.bufferedBytes = 0;
  await service.clock.advance(2 * SLOW_CLIENT_MS);
  assert.deepEqual(client.socket.closings, []);
});

Deno.test("Who has read its answers may leave as many unread once more", () => {
  using service = connectionsFixture({ highWaterBytes: 1_000 });
  const client = service.connect();
  const ask = (count: number) => {
    for (let nth = 0; nth < count; nth++) client.say('{"action":"ping"}');
  };
  client.socket.bufferedBytes = 1_001;
  ask(60);
  client.socket.bufferedBytes = 0;
  ask(1);
  client.socket.bufferedBytes = 1_001;
  ask(60);
  assert.deepEqual(client.socket.closings, []);
  ask(60);
  assert.deepEqual(client.socket.closings.map(({ code }) => code), [4008]);
});

Deno.test("Who gives up its history does not count as stuck for what it left", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  const client = withHistory(service);
  client.subscribe("dev-1", { since });
  await service.tick();
  client.unfollow("dev-1");
  assert.ok(client.socket.bufferedBytes > MARK * 0.25);
  await service.clock.advance(2 * SLOW_CLIENT_MS);
  assert.deepEqual(client.socket.closings, []);
});
