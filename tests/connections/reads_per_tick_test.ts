// The first promise: what a tick costs the databases follows tenants, never clients.
import assert from "node:assert/strict";
import { frameText } from "../../src/protocol/frame.ts";
import { sampleAt } from "../support/samples.ts";
import { connectionsFixture, PHASE_MS } from "./connections_fixture.ts";

const DEVICES = ["dev-1", "dev-2", "dev-3"];

Deno.test("A tick costs the same reads at 1, 10 and 200 connections of a tenant", async () => {
  for (const count of [1, 10, 200]) {
    using service = connectionsFixture();
    for (const deviceId of DEVICES) service.sources.put("acme", deviceId, sampleAt(1));
    const clients = Array.from({ length: count }, () => service.connect());
    for (const client of clients) {
      for (const deviceId of DEVICES) client.follow(deviceId);
      client.followAlerts();
    }
    await service.clock.advance(PHASE_MS - 1);
    for (let tick = 0; tick < 3; tick++) {
      service.sources.telemetryReads.length = 0;
      service.sources.alertReads.length = 0;
      for (const client of clients) client.take();
      await service.tick();
      assert.deepEqual(service.sources.telemetryReads, [{ tenantId: "acme", deviceIds: DEVICES }]);
      assert.equal(service.sources.alertReads.length, 1, `${count} connections`);
      for (const client of clients) assert.equal(client.pushes().length, 4);
    }
  }
});

Deno.test("First values cost one read of each kind however many connect at once", async () => {
  for (const count of [1, 200]) {
    using service = connectionsFixture();
    for (let index = 0; index < count; index++) {
      const client = service.connect();
      client.follow("dev-1");
      client.followAlerts();
    }
    await service.clock.advance(PHASE_MS - 1);
    assert.equal(service.sources.telemetryReads.length, 1);
    assert.equal(service.sources.alertReads.length, 1);
  }
});

Deno.test("A device in a young snapshot is sent from there and not read again", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  const early = service.connect();
  early.follow("dev-1");
  early.followAlerts();
  await service.clock.advance(400);
  const late = service.connect();
  late.follow("dev-1");
  late.followAlerts();
  await service.clock.advance(99);
  assert.deepEqual(late.pushes(), ['dev-1 {"temp_c":1}', "alerts"]);
  assert.equal(service.sources.telemetryReads.length, 1);
  assert.equal(service.sources.alertReads.length, 1);
});

Deno.test("An old snapshot is read again, too, where the wall's clock was set back", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  service.connect().follow("dev-1");
  await service.clock.advance(PHASE_MS);
  service.sources.telemetryFault = () => new Error("Gone");
  await service.clock.advance(1_100);
  service.sources.telemetryFault = null;
  service.clock.setWall(-3_600_000);
  const late = service.connect();
  late.follow("dev-1");
  await service.clock.advance(10);
  assert.deepEqual(late.pushes(), ['dev-1 {"temp_c":1}']);
});

Deno.test("An old snapshot is not sent as a first value: it is read again", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  const early = service.connect();
  early.follow("dev-1");
  early.followAlerts();
  await service.clock.advance(PHASE_MS);
  const fault = new Error("Gone");
  service.sources.telemetryFault = () => fault;
  service.sources.alertFault = () => fault;
  await service.clock.advance(1_100);
  const late = service.connect();
  late.follow("dev-1");
  late.followAlerts();
  await service.clock.advance(10);
  assert.deepEqual(late.pushes(), [], "1,110 ms old");
  service.sources.telemetryFault = null;
  service.sources.alertFault = null;
  service.sources.put("acme", "dev-1", sampleAt(2));
  const later = service.connect();
  later.follow("dev-1");
  later.followAlerts();
  await service.clock.advance(10);
  assert.deepEqual(later.pushes().sort(), ["alerts", 'dev-1 {"temp_c":2}']);
  assert.deepEqual(late.pushes().sort(), ["alerts", 'dev-1 {"temp_c":2}'], "it waited too");
});

Deno.test("A frame is encoded once for all connections and kept while nothing changes", async () => {
  using service = connectionsFixture();
  let encodings = 0;
  const metrics = { temp_c: { toJSON: () => ++encodings } };
  service.sources.put("acme", "dev-1", sampleAt(1, metrics));
  const clients = Array.from({ length: 20 }, () => service.connect());
  for (const client of clients) client.follow("dev-1");
  await service.clock.advance(PHASE_MS - 1);
  const frames = new Set(clients.flatMap(({ socket }) => socket.take().slice(1)));
  assert.equal(frames.size, 1, "the very same frame for everybody");
  for (let tick = 0; tick < 3; tick++) {
    await service.tick();
    for (const { socket } of clients) {
      const [frame] = socket.take();
      assert.ok(frame !== undefined && frames.has(frame), `tick ${tick}`);
      frameText(frame);
    }
  }
  assert.equal(encodings, 1);
});

Deno.test("A tick's states and alerts leave in one write", async () => {
  using service = connectionsFixture();
  for (const deviceId of DEVICES) service.sources.put("acme", deviceId, sampleAt(1));
  const client = service.connect();
  for (const deviceId of DEVICES) client.follow(deviceId);
  client.followAlerts();
  await service.clock.advance(PHASE_MS - 1);
  const before = client.socket.writes.length;
  await service.tick();
  assert.deepEqual(client.socket.writes.slice(before).map((frames) => frames.length), [4]);
});
