// Following every device of a tenant: who is met, what counts for a device that has a subscription of its own, and what
// it costs.
import assert from "node:assert/strict";
import { sampleAt } from "../support/samples.ts";
import { connectionsFixture, LINGER_MS, PHASE_MS, POLL_MS } from "./connections_fixture.ts";

const UNSUBSCRIBE_ALL = '{"action":"unsubscribe","type":"device","device_id":"*"}';

Deno.test("Every device of the tenant is pushed at once and at every tick, by one read for all", async () => {
  using service = connectionsFixture();
  for (const deviceId of ["dev-1", "dev-2", "dev-3"]) {
    service.sources.put("acme", deviceId, sampleAt(1));
  }
  service.sources.put("globex", "dev-4", sampleAt(1));
  const client = service.connect();
  client.subscribe("*", { id: 1 });
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(client.short(), ["subscribed * #1", "dev-1 1", "dev-2 1", "dev-3 1"]);
  service.sources.telemetryReads.length = 0;
  await service.tick();
  assert.deepEqual(client.short(), ["dev-1 1", "dev-2 1", "dev-3 1"]);
  assert.deepEqual(service.sources.telemetryReads, [{ tenantId: "acme", deviceIds: "all" }]);
});

Deno.test("A device that reports for the first time is followed from the read that finds it", async () => {
  using service = connectionsFixture();
  const client = service.connect();
  client.subscribe("*");
  await service.tick();
  assert.deepEqual(client.short(), ["subscribed *"]);
  service.sources.put("acme", "dev-1", sampleAt(1));
  await service.tick();
  assert.deepEqual(client.short(), ["dev-1 1"]);
});

Deno.test("A new device's first samples all reach who follows every sample of all, each once", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(-2));
  const client = service.connect();
  client.subscribe("*", { mode: "every" });
  await service.tick();
  await service.tick();
  assert.deepEqual(client.short(), ["subscribed *"]);
  for (const second of [-1, 0, 1]) service.sources.put("acme", "dev-2", sampleAt(second));
  service.sources.put("acme", "dev-1", sampleAt(1));
  await service.tick();
  await service.tick();
  assert.deepEqual(client.short().sort(), ["dev-1 1", "dev-2 -1", "dev-2 0", "dev-2 1"]);
});

Deno.test("A device's own subscription counts for it, with its own options, in whatever order they came", async () => {
  for (const isOwnFirst of [true, false]) {
    using service = connectionsFixture();
    for (const deviceId of ["dev-1", "dev-2"]) {
      service.sources.put("acme", deviceId, sampleAt(1, { temp_c: 1, volts: 2 }));
    }
    const client = service.connect();
    const own = () => client.subscribe("dev-1", { metrics: ["volts"] });
    if (isOwnFirst) own();
    client.subscribe("*", { metrics: ["temp_c"] });
    await service.clock.advance(isOwnFirst ? 0 : 100);
    if (!isOwnFirst) own();
    await service.clock.advance(PHASE_MS - 101);
    client.take();
    await service.tick();
    assert.deepEqual(client.pushes().sort(), ['dev-1 {"volts":2}', 'dev-2 {"temp_c":1}']);
    client.say(UNSUBSCRIBE_ALL);
    await service.tick();
    assert.deepEqual(client.pushes(), ['dev-1 {"volts":2}']);
    assert.deepEqual(service.feeds.interestOf("acme")?.deviceIds, ["dev-1"]);
  }
});

Deno.test("Unsubscribing from a device hands it back to all, from then on", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1, { temp_c: 1, volts: 2 }));
  const client = service.connect();
  client.subscribe("*", { metrics: ["temp_c"] });
  client.subscribe("dev-1", { metrics: ["volts"] });
  await service.tick();
  client.unfollow("dev-1");
  client.take();
  await service.tick();
  assert.deepEqual(client.pushes(), ['dev-1 {"temp_c":1}']);
  assert.deepEqual(service.feeds.interestOf("acme")?.deviceIds, []);
  client.say(UNSUBSCRIBE_ALL);
  client.take();
  await service.tick();
  assert.deepEqual(client.short(), []);
  assert.equal([...client.connection.group.devices].length, 0, "nothing is kept of who is gone");
});

Deno.test("A device that others follow, too, is handed back like any other", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  service.connect().follow("dev-1");
  const client = service.connect();
  client.subscribe("*");
  client.follow("dev-1");
  await service.tick();
  client.unfollow("dev-1");
  client.take();
  await service.tick();
  assert.deepEqual(client.short(), ["dev-1 1"]);
});

Deno.test("A device that is handed back to every sample of all goes on with what is stored then", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(-5));
  const client = service.connect();
  client.subscribe("*", { mode: "every" });
  await service.tick();
  service.sources.put("acme", "dev-1", sampleAt(0));
  await service.tick();
  assert.deepEqual(client.short(), ["subscribed *", "dev-1 0"]);
  client.follow("dev-1");
  for (const second of [1, 2, 3]) {
    service.sources.put("acme", "dev-1", sampleAt(second));
    await service.tick();
  }
  client.unfollow("dev-1");
  client.take();
  for (const second of [4, 5]) {
    service.sources.put("acme", "dev-1", sampleAt(second));
    await service.tick();
    assert.deepEqual(client.short(), [`dev-1 ${second}`]);
  }
});

Deno.test("All devices count as one subscription", () => {
  using service = connectionsFixture({ limits: { subscriptions: 2 } });
  const client = service.connect();
  client.follow("dev-1");
  client.subscribe("*");
  client.subscribe("*", { mode: "every" });
  client.follow("dev-2");
  assert.deepEqual(client.short(), [
    "subscribed dev-1",
    "subscribed *",
    "subscribed *",
    "error limit_exceeded",
  ]);
  client.say(UNSUBSCRIBE_ALL);
  client.follow("dev-2");
  client.subscribe("*");
  assert.deepEqual(client.short(), ["unsubscribed *", "subscribed dev-2", "error limit_exceeded"]);
});

Deno.test("Interest in all is counted once a connection, by its way of following, and goes with it", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  const client = service.connect();
  const other = service.connect();
  const interest = service.feeds.interestOf("acme");
  client.subscribe("*");
  other.subscribe("*");
  assert.deepEqual(interest?.all, { latest: 2, every: 0 });
  client.subscribe("*", { mode: "every" });
  assert.deepEqual(interest?.all, { latest: 1, every: 1 });
  client.subscribe("*", { mode: "every" });
  assert.deepEqual(interest?.all, { latest: 1, every: 1 });
  await service.tick();
  client.leave();
  assert.deepEqual(interest?.all, { latest: 1, every: 0 });
  other.say(UNSUBSCRIBE_ALL);
  other.say(UNSUBSCRIBE_ALL);
  assert.deepEqual(interest?.all, { latest: 0, every: 0 });
  other.leave();
  await service.clock.advance(LINGER_MS);
  assert.equal(service.feeds.feedCount, 0);
  assert.equal(service.clock.timerCount, 0);
});

Deno.test("Who comes to a young read of all is served from it, and reads nothing", async () => {
  using service = connectionsFixture();
  for (const deviceId of ["dev-1", "dev-2"]) service.sources.put("acme", deviceId, sampleAt(1));
  service.connect().subscribe("*");
  await service.clock.advance(PHASE_MS);
  service.sources.telemetryReads.length = 0;
  const late = service.connect();
  late.subscribe("*");
  await service.clock.advance(POLL_MS / 2);
  assert.deepEqual(late.short(), ["subscribed *", "dev-1 1", "dev-2 1"]);
  assert.deepEqual(service.sources.telemetryReads, []);
});

Deno.test("A read of some devices only is not taken for one of all", async () => {
  using service = connectionsFixture();
  for (const deviceId of ["dev-1", "dev-2"]) service.sources.put("acme", deviceId, sampleAt(1));
  service.connect().follow("dev-1");
  await service.clock.advance(PHASE_MS);
  const late = service.connect();
  late.subscribe("*");
  await service.clock.advance(POLL_MS / 2);
  assert.deepEqual(late.short().sort(), ["dev-1 1", "dev-1 1", "dev-2 1", "subscribed *"].sort());
});

for (const mode of ["latest", "every"] as const) {
  Deno.test(`Devices that are gone are let go of as others come, so that nothing grows with time, mode ${mode}`, async () => {
    const reporting = new Map<string, ReturnType<typeof sampleAt>>();
    using service = connectionsFixture({
      highWaterBytes: 1_000_000,
      wrap: ({ alerts, telemetry }) => ({
        alerts,
        telemetry: {
          ...telemetry,
          readLatest: () => Promise.resolve({ samples: new Map(reporting), unreadable: new Map() }),
        },
      }),
    });
    const report = (deviceId: string, second: number) => {
      const sample = sampleAt(second);
      reporting.set(deviceId, sample);
      service.sources.put("acme", deviceId, sample);
    };
    const client = service.connect();
    client.subscribe("*", { mode });
    await service.tick();
    client.take();
    let most = 0;
    // Apart by more than samples may be late, so that no range has what was stored in the round before.
    const roundSeconds = 20;
    for (let round = 1; round <= 5; round++) {
      await service.clock.advance((roundSeconds - 1) * POLL_MS);
      client.take();
      reporting.clear();
      for (let number = 0; number < 600; number++) {
        report(`dev-${round}-${number}`, round * roundSeconds);
      }
      await service.tick();
      most = Math.max(most, client.connection.held.implied.size);
      assert.equal(client.short().length, 600, "those that report are pushed");
    }
    assert.ok(most <= 1_800, `${most} of 3,000 devices are kept`);
    reporting.clear();
    report("dev-1-7", 6 * roundSeconds);
    await service.tick();
    assert.deepEqual(client.short(), ["dev-1-7 120"], "one that is back is pushed once");
  });
}
