// Pushes: a connection misses ticks while its socket is full, and is silent once nobody wants to hear.
import assert from "node:assert/strict";
import { systemClock } from "../../src/clock.ts";
import { Connection } from "../../src/connections/connection.ts";
import { AlertSubscription, CORE_ALERTS } from "../../src/connections/alert_subscription.ts";
import { PushTurns } from "../../src/connections/push_turns.ts";
import { TenantGroup } from "../../src/connections/tenant_group.ts";
import { frameOf } from "../../src/protocol/frame.ts";
import { EMPTY_SNAPSHOT } from "../support/empty_snapshot.ts";
import { outage } from "../support/fake_sources.ts";
import { sampleAt } from "../support/samples.ts";
import {
  connectionsFixture,
  HIGH_WATER_BYTES,
  PHASE_MS,
  POLL_MS,
  scopeOf,
} from "./connections_fixture.ts";
import { FakeSocket } from "./fake_socket.ts";

Deno.test("A full socket misses ticks and gets the newest state once it is drained", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  const full = service.connect();
  const well = service.connect();
  for (const client of [full, well]) {
    client.follow("dev-1");
    client.followAlerts();
  }
  await service.clock.advance(PHASE_MS - 1);
  full.pushes();
  well.pushes();
  full.socket.bufferedBytes = HIGH_WATER_BYTES;
  for (const second of [2, 3, 4]) {
    service.sources.put("acme", "dev-1", sampleAt(second));
    await service.tick();
    assert.deepEqual(full.pushes(), []);
    assert.deepEqual(well.pushes(), [`dev-1 {"temp_c":${second}}`, "alerts"]);
  }
  assert.equal(full.connection.missedPushes, 3);
  full.socket.bufferedBytes = 0;
  service.sources.put("acme", "dev-1", sampleAt(5));
  await service.tick();
  assert.deepEqual(full.pushes(), ['dev-1 {"temp_c":5}', "alerts"], "nothing was queued");
  assert.equal(full.connection.missedPushes, 3);
});

Deno.test("The size of the push itself counts against the high-water mark", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1, { text: "x".repeat(500) }));
  const client = service.connect();
  client.follow("dev-1");
  await service.clock.advance(PHASE_MS - 1);
  const bytes = (client.socket.take().at(-1)?.text ?? "").length;
  assert.ok(bytes > 500 && bytes < 700);
  client.socket.bufferedBytes = HIGH_WATER_BYTES - bytes + 1;
  await service.tick();
  assert.deepEqual(client.pushes(), []);
  client.socket.bufferedBytes = HIGH_WATER_BYTES - bytes;
  await service.tick();
  assert.equal(client.pushes().length, 1);
});

Deno.test("A push above the high-water mark goes while nothing waits in the socket", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1, { text: "x".repeat(2 * HIGH_WATER_BYTES) }));
  const client = service.connect();
  client.follow("dev-1");
  await service.clock.advance(PHASE_MS - 1);
  assert.equal(client.pushes().length, 1);
  client.socket.bufferedBytes = 1;
  await service.tick();
  assert.deepEqual(client.pushes(), []);
});

Deno.test("A first value that a full socket missed comes once it is drained", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  const client = service.connect();
  client.socket.bufferedBytes = HIGH_WATER_BYTES;
  client.follow("dev-1");
  await service.clock.advance(10);
  assert.deepEqual(client.pushes(), []);
  client.socket.bufferedBytes = 0;
  const other = service.connect();
  other.follow("dev-2");
  await service.clock.advance(10);
  assert.deepEqual(client.pushes(), ['dev-1 {"temp_c":1}'], "any first read wakes who still waits");
});

Deno.test("A first read for one connection sends nothing to those that wait for nothing", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  const client = service.connect();
  client.follow("dev-1");
  await service.clock.advance(PHASE_MS);
  client.pushes();
  const writes = client.socket.writes.length;
  service.connect().follow("dev-2");
  await service.clock.advance(100);
  assert.equal(client.socket.writes.length, writes);
});

Deno.test("Nothing follows an unsubscribe between a read's answer and its push", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  const leaver = service.connect();
  const release = Promise.withResolvers<void>();
  leaver.follow("dev-1");
  leaver.followAlerts();
  await service.clock.advance(PHASE_MS - 1);
  const deliver = leaver.connection.group.deliver.bind(leaver.connection.group);
  leaver.connection.group.deliver = (snapshot, at) => {
    // The loop is woken here and pushes in a later turn; the client's message comes in between.
    deliver(snapshot, at);
    leaver.unfollow("dev-1");
    leaver.unfollowAlerts();
    release.resolve();
  };
  leaver.take();
  await service.tick();
  await release.promise;
  await service.tick();
  assert.deepEqual(leaver.take().map(({ type }) => type), ["unsubscribed", "unsubscribed"]);
});

Deno.test("Nothing follows a disconnect between a read's answer and its push", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  const client = service.connect();
  client.follow("dev-1");
  await service.clock.advance(PHASE_MS - 1);
  const deliver = client.connection.group.deliver.bind(client.connection.group);
  client.connection.group.deliver = (snapshot, at) => {
    deliver(snapshot, at);
    client.leave();
  };
  client.take();
  await service.tick();
  assert.equal(service.manager.connectionCount, 0);
  client.connection.send({ type: "subscribed", channel: "alerts" });
  client.connection.wake();
  client.follow("dev-1");
  await service.tick();
  assert.deepEqual(client.take(), []);
});

Deno.test("Nothing is pushed once the connection has ended, not even what was due", async () => {
  const group = new TenantGroup("acme");
  const socket = new FakeSocket();
  const connection = new Connection({ id: "c1", scope: scopeOf("acme"), socket, group }, {
    highWaterBytes: HIGH_WATER_BYTES,
    missed: () => {},
    behind: () => {},
    failed: (_, error) => assert.fail(String(error)),
    lateMs: 0,
    maxAgeMs: POLL_MS,
    clock: systemClock,
    turns: new PushTurns(systemClock),
  });
  const followAnew = () => {
    connection.alerts = new AlertSubscription(group, {
      options: CORE_ALERTS,
      progress: { seq: 0, isOwed: true },
    });
  };
  group.followAlerts();
  const frame = frameOf({ type: "alerts", alerts: [] });
  group.deliver({
    ...EMPTY_SNAPSHOT,
    alerts: { seq: 1, readAt: 0, version: 1, frame, whole: null },
  }, systemClock.monotonicNow());
  followAnew();
  connection.wake();
  await Promise.resolve();
  assert.equal(socket.writes.length, 1);
  followAnew();
  connection.wake();
  connection.abort();
  connection.wake();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(socket.writes.length, 1);
});

Deno.test("Who waits for the end of a connection is told, whether it comes later or has come", () => {
  using service = connectionsFixture();
  const { connection } = service.connect();
  const { signal } = connection;
  assert.equal(signal.aborted, false);
  connection.abort();
  assert.equal(signal.aborted, true);
  const ended = service.connect().connection;
  ended.abort();
  assert.equal(ended.signal.aborted, true);
  let disposals = 0;
  ended.accompany({ [Symbol.dispose]: () => disposals++ });
  assert.equal(disposals, 1);
});

Deno.test("A socket that throws ends its own connection's pushes and nobody else's", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  const broken = service.connect();
  const well = service.connect();
  for (const client of [broken, well]) client.follow("dev-1");
  broken.socket.fault = new Error("Handle is gone");
  await service.clock.advance(PHASE_MS);
  assert.deepEqual(broken.socket.closings, [{ code: 1011, reason: "Internal error" }]);
  const [line, ...more] = service.log.of("push_loop_failed");
  assert.equal(line?.fields.error, broken.socket.fault);
  assert.deepEqual(more, []);
  assert.equal(well.pushes().length, 2, "its first value and a tick");
});

Deno.test("What a full socket missed is not sent once it is old", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  const client = service.connect();
  client.follow("dev-1");
  client.followAlerts();
  await service.clock.advance(PHASE_MS);
  client.take();
  client.socket.bufferedBytes = HIGH_WATER_BYTES;
  service.sources.put("acme", "dev-1", sampleAt(2));
  await service.tick();
  service.sources.telemetryFault = outage;
  client.socket.bufferedBytes = 0;
  await service.tick();
  assert.deepEqual(client.pushes(), ["alerts"]);
});
