// All devices of a tenant at once, and its fleet in numbers: what is read for them and what becomes of devices that come
// and go.
import assert from "node:assert/strict";
import type { FeedRegistryOptions } from "../../src/feed/feed_registry.ts";
import type { InterestChange } from "../../src/feed/seam.ts";
import { SourceError } from "../../src/sources/source_error.ts";
import { outage } from "../support/fake_sources.ts";
import { alertOf } from "../support/samples.ts";
import { feedFixture, PHASE_MS, POLL_MS } from "./feed_fixture.ts";
import { StoredTelemetry } from "./stored_telemetry.ts";

function allFixture(overrides: Partial<FeedRegistryOptions> = {}) {
  let telemetry: StoredTelemetry | undefined;
  const feed = feedFixture(({ clock }) => ({
    telemetry: telemetry = new StoredTelemetry(clock),
    ...overrides,
  }));
  assert.ok(telemetry);
  feed.connect();
  return {
    feed,
    telemetry,
    change: (change: Omit<InterestChange, "tenantId">) =>
      feed.feeds.change({ tenantId: "acme", ...change }),
    followAll: (every = 0) =>
      feed.feeds.change({
        tenantId: "acme",
        all: { latest: every > 0 ? 0 : 1, every },
        first: { devices: [], all: true, alerts: false },
      }),
    followFleet: () =>
      feed.feeds.change({
        tenantId: "acme",
        fleet: 1,
        first: { devices: [], alerts: false, fleet: true },
      }),
    /** The fleet messages since the last call. */
    fleets: () => feed.take().flatMap(({ fleet }) => fleet === null ? [] : [fleet.frame.message]),
    [Symbol.dispose]: () => feed.feeds[Symbol.dispose](),
  };
}

Deno.test("Who follows all devices gets each of them within a few milliseconds and at every tick, by one read", async () => {
  using world = allFixture();
  const { feed, telemetry } = world;
  telemetry.store("dev-1");
  telemetry.store("dev-2");
  world.followAll();
  await feed.clock.advance(5);
  assert.deepEqual(telemetry.latest, ["all"]);
  const [first] = feed.take();
  assert.deepEqual(first?.devices.map(({ deviceId, version }) => [deviceId, version]), [
    ["dev-1", 1],
    ["dev-2", 1],
  ]);
  telemetry.store("dev-3");
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(feed.take().at(-1)?.devices.map(({ deviceId }) => deviceId), [
    "dev-1",
    "dev-2",
    "dev-3",
  ]);
  assert.deepEqual(telemetry.latest, ["all", "all"]);
});

Deno.test("A device that is followed by name is in the read of all, found or not", async () => {
  using world = allFixture();
  const { feed, telemetry } = world;
  telemetry.store("dev-1");
  world.followAll();
  feed.follow(["ghost"]);
  await feed.clock.advance(PHASE_MS);
  const [tick] = feed.take().slice(-1);
  assert.deepEqual(tick?.devices.map(({ deviceId, sample }) => [deviceId, sample === null]), [
    ["dev-1", false],
    ["ghost", true],
  ]);
});

Deno.test("A device that is gone from the database is said once to have nothing, and its version still rises", async () => {
  using world = allFixture();
  const { feed, telemetry } = world;
  for (let count = 0; count < 3; count++) {
    telemetry.store("dev-1");
    world.followAll();
    await feed.clock.advance(POLL_MS);
  }
  const before = feed.state("dev-1");
  telemetry.remove("dev-1");
  feed.take();
  await feed.clock.advance(3 * POLL_MS);
  const states = feed.take().flatMap(({ devices }) => devices);
  assert.deepEqual(states.map(({ sample, isStale }) => [sample, isStale]), [[null, true]]);
  telemetry.store("dev-1");
  await feed.clock.advance(POLL_MS);
  assert.ok(feed.state("dev-1")!.version > before!.version);
});

Deno.test("Every sample of a device that appears is delivered to who follows all, the first one too", async () => {
  using world = allFixture();
  const { feed, telemetry } = world;
  const old = telemetry.store("dev-1");
  world.followAll(1);
  await feed.clock.advance(PHASE_MS);
  const first = telemetry.store("dev-2");
  const second = telemetry.store("dev-2", { ageMs: 100 });
  const other = telemetry.store("dev-1");
  await feed.clock.advance(POLL_MS);
  const batches = feed.take().flatMap((snapshot) => snapshot.batches);
  const told = batches.map(({ deviceId, number, samples }) => [
    deviceId,
    number,
    ...samples.map(({ sample }) => sample.timestamp),
  ]);
  assert.deepEqual(told, [
    ["dev-1", 1],
    ["dev-2", 1],
    ["dev-1", 2, other],
    ["dev-2", 2, second, first],
  ]);
  assert.notEqual(old, other);
});

Deno.test("All devices in both modes cost one newest read and one range a tick, however many follow them", async () => {
  using world = allFixture();
  const { feed, telemetry } = world;
  for (let index = 0; index < 20; index++) telemetry.store(`dev-${index}`);
  for (let follower = 0; follower < 5; follower++) {
    world.followAll();
    world.followAll(1);
    feed.followEvery(["dev-1", "dev-2"]);
  }
  await feed.clock.advance(PHASE_MS);
  telemetry.forget();
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(telemetry.latest, ["all"]);
  assert.deepEqual(telemetry.ranges.map(({ deviceIds }) => deviceIds.length), [20]);
});

Deno.test("Who leaves all devices leaves those that are followed by name", async () => {
  using world = allFixture();
  const { feed, telemetry } = world;
  telemetry.store("dev-1");
  telemetry.store("dev-2");
  world.followAll(1);
  feed.followEvery(["dev-2"]);
  await feed.clock.advance(PHASE_MS);
  world.change({ all: { latest: 0, every: -1 } });
  feed.forget();
  telemetry.forget();
  telemetry.store("dev-1");
  const sample = telemetry.store("dev-2");
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(telemetry.latest, []);
  const batches = feed.take().flatMap((snapshot) => snapshot.batches);
  assert.deepEqual(
    batches.map((
      { deviceId, number, samples },
    ) => [deviceId, number, samples[0]?.sample.timestamp]),
    [
      ["dev-2", 2, sample],
    ],
  );
});

Deno.test("No more devices are followed all at once than the limit allows: those that reported last", async () => {
  using world = allFixture({ maxFleetDevices: 3 });
  const { feed, telemetry } = world;
  for (let index = 0; index < 5; index++) telemetry.store(`dev-${index}`, { ageMs: index * 1_000 });
  world.followAll();
  world.followFleet();
  await feed.clock.advance(2 * POLL_MS);
  const ids = feed.take().at(-1)?.devices.map(({ deviceId }) => deviceId);
  assert.deepEqual(ids, ["dev-0", "dev-1", "dev-2"]);
  assert.deepEqual(feed.log.records, [{
    level: "warning",
    event: "fleet_truncated",
    fields: { tenant: "acme", limit: 3, count: 5 },
  }]);
  telemetry.store("dev-4");
  await feed.clock.advance(POLL_MS);
  const later = feed.take().at(-1)?.devices.map(({ deviceId }) => deviceId);
  assert.deepEqual(later, ["dev-4", "dev-0", "dev-1"]);
  assert.equal(feed.log.records.length, 1);
});

Deno.test("A device whose every sample is followed among all stays so while others report later", async () => {
  using world = allFixture({ maxFleetDevices: 2 });
  const { feed, telemetry } = world;
  telemetry.store("dev-0");
  telemetry.store("dev-1", { ageMs: 10 });
  world.followAll(1);
  await feed.clock.advance(PHASE_MS);
  feed.take();
  telemetry.store("dev-0", { ageMs: 100 });
  telemetry.store("dev-1", { ageMs: 100 });
  for (const deviceId of ["dev-2", "dev-3"]) telemetry.store(deviceId);
  await feed.clock.advance(POLL_MS);
  const batches = feed.take().flatMap((snapshot) => snapshot.batches);
  assert.deepEqual(batches.map(({ deviceId, number }) => [deviceId, number]), [
    ["dev-0", 2],
    ["dev-1", 2],
  ]);
});

Deno.test("Devices that are silent for good make room for those that appear", async () => {
  using world = allFixture({ maxFleetDevices: 1 });
  const { feed, telemetry } = world;
  telemetry.store("dev-0");
  world.followAll(1);
  await feed.clock.advance(PHASE_MS);
  telemetry.remove("dev-0");
  const sample = telemetry.store("dev-1");
  await feed.clock.advance(POLL_MS);
  const batches = feed.take().flatMap((snapshot) => snapshot.batches);
  assert.deepEqual(batches.at(-1)?.samples.map((stored) => stored.sample.timestamp), [sample]);
});

Deno.test("Where one device spoils the query for all, the others are read by a list, and all again after a while", async () => {
  using world = allFixture();
  const { feed, telemetry } = world;
  for (let index = 0; index < 4; index++) telemetry.store(`dev-${index}`);
  telemetry.fault = (kind, deviceIds) =>
    kind === "latest" && (deviceIds === "all" || deviceIds.includes("dev-2"))
      ? new SourceError("rejected", "Type conflict")
      : null;
  world.followAll();
  world.followFleet();
  await feed.clock.advance(3 * POLL_MS);
  const [tick] = feed.take().filter(({ cause }) => cause === "tick").slice(-1);
  const read = tick?.devices.map(({ deviceId }) => deviceId).toSorted();
  assert.deepEqual(read, ["dev-0", "dev-1", "dev-3"]);
  assert.deepEqual(tick?.fleet?.frame.message, {
    type: "fleet",
    devices: { total: 4, online: 4, stale: 0 },
    alerts: { open: 0, by_severity: {} },
  });
  assert.deepEqual(feed.log.records.map(({ event }) => event), [
    "fleet_read_refused",
    "devices_set_aside",
  ]);
  telemetry.fault = null;
  await feed.clock.advance(62_000);
  assert.equal(feed.take().at(-1)?.devices.length, 4);
  assert.equal(telemetry.latest.at(-1), "all");
});

Deno.test("The fleet is counted by what reads bring, each part null until it could be read", async () => {
  using world = allFixture({ staleMs: 60_000 });
  const { feed, telemetry } = world;
  telemetry.store("dev-0");
  telemetry.store("dev-1", { ageMs: 61_000 });
  feed.sources.setAlerts("acme", [
    alertOf(3, { severity: 5 }),
    alertOf(2, { severity: 3 }),
    alertOf(1, { severity: null }),
  ]);
  feed.sources.alertFault = outage;
  world.followFleet();
  await feed.clock.advance(5);
  const devices = { total: 2, online: 1, stale: 1 };
  assert.deepEqual(world.fleets(), [{ type: "fleet", devices, alerts: null }]);
  feed.sources.alertFault = null;
  await feed.clock.advance(POLL_MS);
  const alerts = { open: 3, by_severity: { 3: 1, 5: 1, none: 1 } };
  assert.deepEqual(world.fleets(), [{ type: "fleet", devices, alerts }], "one message a tick");
  telemetry.fault = outage;
  feed.sources.setAlerts("acme", []);
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(world.fleets(), [
    { type: "fleet", devices, alerts: { open: 0, by_severity: {} } },
  ]);
});

Deno.test("A fleet's version rises when a count changes and only then", async () => {
  using world = allFixture({ staleMs: 5_000 });
  const { feed, telemetry } = world;
  telemetry.store("dev-0");
  world.followFleet();
  await feed.clock.advance(POLL_MS);
  const versions = () => feed.take().flatMap(({ fleet }) => fleet === null ? [] : [fleet.version]);
  const [before = 0] = versions().slice(-1);
  await feed.clock.advance(2 * POLL_MS);
  assert.deepEqual(versions(), [before, before]);
  await feed.clock.advance(3 * POLL_MS);
  assert.equal(versions().at(-1), before + 1, "gone stale");
});

Deno.test("Who follows the fleet alone is sent no device", async () => {
  using world = allFixture();
  const { feed, telemetry } = world;
  telemetry.store("dev-0");
  world.followFleet();
  await feed.clock.advance(2 * POLL_MS);
  assert.deepEqual(feed.take().flatMap(({ devices }) => devices), []);
  world.change({ fleet: -1 });
  telemetry.forget();
  feed.sources.alertStateReads.length = 0;
  await feed.clock.advance(2 * POLL_MS);
  assert.deepEqual(telemetry.latest, []);
  assert.deepEqual(feed.sources.alertStateReads, []);
});

Deno.test("A device for which there is room at last begins then, and not when all did", async () => {
  using world = allFixture({ maxFleetDevices: 1 });
  const { feed, telemetry } = world;
  const report = () => {
    telemetry.store("dev-2");
    // The one that reported last has the only place.
    telemetry.store("dev-1", { ageMs: -1 });
  };
  report();
  world.followAll(1);
  await feed.clock.advance(PHASE_MS + POLL_MS);
  for (let tick = 0; tick < 60; tick++) {
    report();
    await feed.clock.advance(POLL_MS);
  }
  telemetry.remove("dev-1");
  await feed.clock.advance(5 * POLL_MS);
  const stored = telemetry.store("dev-2");
  await feed.clock.advance(5 * POLL_MS);
  const told = feed.take().flatMap(({ batches }) => batches)
    .filter(({ deviceId }) => deviceId === "dev-2")
    .flatMap(({ samples }) => samples.map(({ sample }) => sample.timestamp));
  assert.deepEqual(told, [stored]);
});
