// How a client may want a device's samples, beyond the newest one at every tick.
import assert from "node:assert/strict";
import { outage } from "../support/fake_sources.ts";
import { sampleAt } from "../support/samples.ts";
import { connectionsFixture, PHASE_MS } from "./connections_fixture.ts";

Deno.test("Several devices of one message are answered once, in its order, and each is followed", async () => {
  using service = connectionsFixture();
  for (const deviceId of ["dev-1", "dev-2"]) service.sources.put("acme", deviceId, sampleAt(1));
  const client = service.connect();
  client.subscribe(["dev-2", "dev-1", "dev-2"], { id: "a" });
  await service.clock.advance(100);
  assert.deepEqual(client.short(), ["subscribed dev-2,dev-1 #a", "dev-2 1", "dev-1 1"]);
  assert.equal(service.sources.telemetryReads.length, 1);
  client.say(
    '{"action":"unsubscribe","type":"device","device_ids":["dev-1","dev-9","dev-2"],"id":1}',
  );
  await service.tick();
  assert.deepEqual(client.short(), ["unsubscribed dev-1,dev-9,dev-2 #1"]);
  assert.deepEqual(service.feeds.interestOf("acme")?.deviceIds, []);
});

Deno.test("A message whose devices are one too many follows none of them", () => {
  using service = connectionsFixture({ limits: { subscriptions: 3 } });
  const client = service.connect();
  client.subscribe(["dev-1", "dev-2"]);
  client.subscribe(["dev-2", "dev-3", "dev-4"]);
  assert.deepEqual(client.short(), ["subscribed dev-1,dev-2", "error limit_exceeded"]);
  assert.deepEqual([...client.connection.devices.keys()], ["dev-1", "dev-2"]);
  client.subscribe(["dev-2", "dev-3"]);
  assert.deepEqual(client.short(), ["subscribed dev-2,dev-3"]);
});

Deno.test("With metrics only those are sent, and nothing for a sample that has none of them", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1, { temp_c: 1, volts: 2, amps: 3 }));
  const client = service.connect();
  const all = service.connect();
  client.subscribe("dev-1", { metrics: ["volts", "temp_c", "missing"] });
  all.follow("dev-1");
  await service.clock.advance(PHASE_MS - 1);
  const pushed = () =>
    client.take().flatMap((message) => message.type === "telemetry" ? [message.data.metrics] : []);
  assert.deepEqual(pushed(), [{ temp_c: 1, volts: 2 }]);
  all.take();
  service.sources.put("acme", "dev-1", sampleAt(2, { amps: 3 }));
  await service.tick();
  assert.deepEqual(pushed(), []);
  assert.deepEqual(all.short(), ["dev-1 2"]);
  service.sources.put("acme", "dev-1", sampleAt(3, { amps: 3, volts: 0 }));
  await service.tick();
  assert.deepEqual(pushed(), [{ volts: 0 }]);
});

Deno.test("All who chose the same metrics share one frame, in whatever order they named them", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1, { temp_c: 1, volts: 2, amps: 3 }));
  const clients = [["volts", "temp_c"], ["temp_c", "volts"], ["temp_c", "volts", "temp_c"]]
    .map((metrics) => {
      const client = service.connect();
      client.subscribe("dev-1", { metrics });
      return client;
    });
  await service.clock.advance(PHASE_MS - 1);
  const first = clients.map(({ socket }) => socket.take().at(-1));
  assert.equal(new Set(first).size, 1);
  await service.tick();
  assert.deepEqual(clients.map(({ socket }) => socket.take().at(-1)), first, "and keep it");
});

Deno.test("With changes_only a tick pushes only what changed, in timestamp or in a metric", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  const client = service.connect();
  client.subscribe("dev-1", { changes_only: true });
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(client.short(), ["subscribed dev-1", "dev-1 1"]);
  await service.tick();
  await service.tick();
  assert.deepEqual(client.short(), []);
  service.sources.put("acme", "dev-1", sampleAt(1, { temp_c: 9 }));
  await service.tick();
  assert.deepEqual(client.pushes(), ['dev-1 {"temp_c":9}']);
  service.sources.put("acme", "dev-1", sampleAt(2, { temp_c: 9 }));
  await service.tick();
  await service.tick();
  assert.deepEqual(client.short(), ["dev-1 2"]);
});

Deno.test("A change that a full socket missed comes once it is drained, though nothing changed since", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  const client = service.connect();
  client.subscribe("dev-1", { changes_only: true });
  await service.clock.advance(PHASE_MS - 1);
  client.take();
  client.socket.bufferedBytes = 1_000;
  service.sources.put("acme", "dev-1", sampleAt(2));
  await service.tick();
  await service.tick();
  assert.deepEqual(client.short(), []);
  client.socket.bufferedBytes = 0;
  await service.tick();
  await service.tick();
  assert.deepEqual(client.short(), ["dev-1 2"]);
});

Deno.test("A change that was too old once a full socket was drained comes with the next read", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  const client = service.connect();
  client.subscribe("dev-1", { changes_only: true });
  await service.clock.advance(PHASE_MS - 1);
  client.take();
  client.socket.bufferedBytes = 1_000;
  service.sources.put("acme", "dev-1", sampleAt(2));
  await service.tick();
  service.sources.telemetryFault = outage;
  await service.tick();
  await service.tick();
  client.socket.bufferedBytes = 0;
  client.followAlerts();
  await service.clock.advance(10);
  assert.deepEqual(client.short(), ["subscribed alerts", "alerts []"], "what is old is not sent");
  service.sources.telemetryFault = null;
  await service.tick();
  assert.deepEqual(client.short().filter((text) => text !== "alerts []"), ["dev-1 2"]);
});

Deno.test("Subscribing again replaces all options, and the newest sample comes again", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1, { temp_c: 1, volts: 2 }));
  const client = service.connect();
  client.subscribe("dev-1", { metrics: ["volts"], changes_only: true });
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(client.pushes(), ['dev-1 {"volts":2}']);
  client.follow("dev-1");
  await service.tick();
  assert.deepEqual(client.pushes(), [
    'dev-1 {"temp_c":1,"volts":2}',
    'dev-1 {"temp_c":1,"volts":2}',
  ]);
  assert.equal(service.feeds.interestOf("acme")?.followersOf("dev-1"), 1);
});
