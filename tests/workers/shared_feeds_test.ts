// Several workers on the same feeds: one read serves the clients of all, a worker that comes late is where the others are,
// and one that goes leaves nothing behind. The orders in which that may happen are tried among the connections' tests.
import assert from "node:assert/strict";
import { FeedRegistry } from "../../src/feed/feed_registry.ts";
import type { Snapshot } from "../../src/feed/seam.ts";
import { frameText } from "../../src/protocol/frame.ts";
import { SourceError } from "../../src/sources/source_error.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { FEED_BOUNDS } from "../support/histories.ts";
import { memoryLog } from "../support/memory_log.ts";
import { alertOf, sampleAt } from "../support/samples.ts";
import { feedsOfWorkers } from "./feeds_of_workers.ts";

const POLL_MS = 1_000;
const ALL_OF = { connections: 1, first: { devices: ["dev-1"], alerts: false } };
const DEVICE = [{ deviceId: "dev-1", latest: 1 }];

function workersFixture() {
  const clock = fakeClock();
  const sources = fakeSources();
  const registry = new FeedRegistry({
    ...FEED_BOUNDS,
    telemetry: sources.telemetry,
    alerts: sources.alerts,
    maxAlerts: 100,
    pollIntervalMs: POLL_MS,
    lingerMs: 300,
    clock,
    log: memoryLog(),
    states: () => sources.state(),
    random: () => 0.5,
  });
  const workers = feedsOfWorkers({ feeds: registry, count: 2, clock, pollIntervalMs: POLL_MS })
    .map((worker) => {
      const snapshots: Snapshot[] = [];
      worker.feeds.listen((snapshot) => void snapshots.push(snapshot));
      const take = () => snapshots.splice(0);
      return { ...worker, take };
    });
  const [one, other] = workers;
  assert(one !== undefined && other !== undefined);
  const settle = () => clock.advance(50);
  return {
    clock,
    sources,
    registry,
    one,
    other,
    settle,
    [Symbol.dispose]: () => registry[Symbol.dispose](),
  };
}

Deno.test("The first value of a worker's client is one that another worker's was sent, while it is young", async () => {
  using service = workersFixture();
  const { one, other, sources, settle } = service;
  sources.put("acme", "dev-1", sampleAt(1));
  one.feeds.change({ tenantId: "acme", ...ALL_OF, devices: DEVICE });
  await settle();
  const [first] = one.take();
  assert.equal(first?.devices[0]?.sample?.timestamp, sampleAt(1).timestamp);
  assert.equal(sources.telemetryReads.length, 1);
  other.feeds.change({ tenantId: "acme", ...ALL_OF, devices: DEVICE });
  await settle();
  const [late] = other.take();
  assert.deepEqual(late?.devices[0]?.sample, first?.devices[0]?.sample);
  assert.equal(sources.telemetryReads.length, 1);
  assert.deepEqual(one.take(), []);
});

Deno.test("What another worker's was sent long ago is not young because the wall's clock was set back", async () => {
  using service = workersFixture();
  const { one, other, clock, sources, settle } = service;
  sources.put("acme", "dev-1", sampleAt(1));
  one.feeds.change({ tenantId: "acme", ...ALL_OF, devices: DEVICE });
  await settle();
  sources.telemetryFault = () => new Error("Gone");
  await clock.advance(3 * POLL_MS);
  clock.setWall(-3_600_000);
  other.feeds.change({ tenantId: "acme", ...ALL_OF, devices: DEVICE });
  await settle();
  assert.deepEqual(other.take().flatMap(({ devices }) => devices), []);
});

Deno.test("Who follows all devices or the fleet costs no read while what another worker's was sent is young", async () => {
  using service = workersFixture();
  const { one, other, clock, sources, settle } = service;
  for (const id of ["dev-1", "dev-2"]) sources.put("acme", id, sampleAt(1));
  const follows = { tenantId: "acme", connections: 1, all: { latest: 1 }, fleet: 1 };
  const first = { devices: [], all: true, alerts: false, fleet: true };
  one.feeds.change({ ...follows, first });
  await clock.advance(POLL_MS);
  const given = one.take();
  const reads = () => [sources.telemetryReads.length, sources.alertStateReads.length];
  const before = reads();
  other.feeds.change({ ...follows, first });
  await settle();
  assert.deepEqual(reads(), before);
  const late = other.take();
  assert.deepEqual(
    late.flatMap(({ devices }) => devices.map(({ deviceId }) => deviceId)),
    ["dev-1", "dev-2"],
  );
  const fleet = given.map(({ fleet }) => fleet).findLast((fleet) => fleet !== null);
  assert.deepEqual(late.map(({ fleet }) => fleet), [fleet]);
  // Once nobody follows them any more they are read anew.
  const leaves = { tenantId: "acme", all: { latest: -1 }, fleet: -1 };
  for (const { feeds } of [one, other]) feeds.change(leaves);
  other.feeds.change({ ...follows, connections: 0, first });
  await settle();
  assert.deepEqual(reads(), before.map((count) => count + 1));
});

Deno.test("Who follows all devices is given no value for the first that others were sent long ago", async () => {
  using service = workersFixture();
  const { one, other, clock, sources, settle } = service;
  sources.put("acme", "dev-1", sampleAt(1));
  one.feeds.change({ tenantId: "acme", ...ALL_OF, devices: DEVICE });
  await settle();
  sources.telemetryFault = () => new SourceError("missing", "No bucket");
  await clock.advance(20 * POLL_MS);
  const all = { tenantId: "acme", connections: 1, all: { latest: 1 } };
  other.feeds.change({ ...all, first: { devices: [], all: true, alerts: false } });
  await settle();
  assert.deepEqual(other.take().flatMap(({ devices }) => devices), []);
  sources.telemetryFault = null;
  await clock.advance(60 * POLL_MS);
  const [first] = other.take().flatMap(({ devices }) => devices);
  assert.equal(first?.sample?.timestamp, sampleAt(1).timestamp);
});

Deno.test("A device that is gone is not told to who follows all devices later", async () => {
  using service = workersFixture();
  const { one, other, clock, sources, settle } = service;
  const all = { tenantId: "acme", connections: 1, all: { latest: 1 } };
  sources.put("acme", "dev-1", sampleAt(1));
  one.feeds.change(all);
  await clock.advance(POLL_MS);
  sources.telemetry.readLatest = () =>
    Promise.resolve({ samples: new Map(), unreadable: new Map() });
  await clock.advance(POLL_MS);
  const told = one.take().flatMap(({ devices }) => devices.map(({ sample }) => sample));
  assert.equal(told.at(-1), null);
  other.feeds.change(all);
  await settle();
  assert.deepEqual(other.take(), []);
});

Deno.test("What was read of a device that all have left before it was told is not kept", async () => {
  using service = workersFixture();
  const { one, other, clock, sources, settle } = service;
  sources.put("acme", "dev-1", sampleAt(1));
  one.feeds.change({ tenantId: "acme", connections: 1, devices: DEVICE, alerts: 1 });
  const answered = Promise.withResolvers<void>();
  sources.holdAlerts = answered.promise;
  await clock.advance(POLL_MS / 2 + 10);
  assert.equal(sources.telemetryReads.length, 1);
  // The tick is told once the alerts were read as well.
  one.feeds.change({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: -1 }] });
  answered.resolve();
  await settle();
  other.feeds.change({ tenantId: "acme", connections: 1, all: { latest: 1 } });
  await settle();
  assert.deepEqual(other.take().flatMap(({ devices }) => devices), []);
});

Deno.test("A tick is one read for all workers, and each is sent what its own clients follow", async () => {
  using service = workersFixture();
  const { one, other, clock, sources, settle } = service;
  for (const id of ["dev-1", "dev-2"]) sources.put("acme", id, sampleAt(1));
  const follow = (deviceId: string) => ({
    tenantId: "acme",
    connections: 1,
    devices: [{ deviceId, latest: 1 }],
  });
  one.feeds.change(follow("dev-1"));
  other.feeds.change(follow("dev-2"));
  other.feeds.change({ tenantId: "globex", connections: 1 });
  await settle();
  sources.telemetryReads.length = 0;
  await clock.advance(POLL_MS);
  assert.deepEqual(sources.telemetryReads, [
    { tenantId: "acme", deviceIds: ["dev-1", "dev-2"] },
  ]);
  const seen = (snapshots: readonly Snapshot[]) =>
    snapshots.flatMap(({ devices }) => devices.map(({ deviceId }) => deviceId));
  assert.deepEqual(seen(one.take()), ["dev-1"]);
  assert.deepEqual(seen(other.take()), ["dev-2"]);
});

Deno.test("What did not change goes without its sample, and arrives with the one it had, encoded once", async () => {
  using service = workersFixture();
  const { one, clock, sources, settle } = service;
  sources.put("acme", "dev-1", sampleAt(1, { note: "told once" }));
  sources.setAlerts("acme", [alertOf(1, { summary: "told once, too" })]);
  one.feeds.change({ tenantId: "acme", ...ALL_OF, devices: DEVICE, alertChanges: 1 });
  await settle();
  const texts = () => one.texts.filter((text) => text.includes("told once")).length;
  await clock.advance(POLL_MS);
  const before = texts();
  const [known] = one.take().toReversed();
  assert(known?.devices[0] !== undefined && known.alerts !== null);
  assert.match(frameText(known.alerts.frame), /told once, too/);
  await clock.advance(POLL_MS);
  const [again] = one.take();
  assert.equal(texts(), before);
  assert.equal(again?.devices[0]?.frame, known.devices[0].frame);
  assert.ok((again?.devices[0]?.seq ?? 0) > known.devices[0].seq);
  assert.equal(again?.alerts?.frame, known.alerts.frame);
  assert.equal(again?.alerts?.whole?.number, (known.alerts.whole?.number ?? 0) + 1);
  assert.deepEqual(again?.alerts?.whole?.open, known.alerts.whole?.open);
});

Deno.test("A worker that comes late is told of a source that fails, and of none that works", async () => {
  using service = workersFixture();
  const { one, other, clock, sources, settle } = service;
  sources.telemetryFault = () => new SourceError("denied", "No more");
  const follows = { tenantId: "acme", connections: 1, devices: DEVICE, alerts: 1 };
  one.feeds.change(follows);
  await clock.advance(POLL_MS);
  const told = one.take().flatMap(({ statuses }) => statuses);
  assert.deepEqual(told.map(({ source, state }) => [source, state]), [["telemetry", "degraded"]]);
  other.feeds.change(follows);
  await settle();
  const late = other.take().flatMap(({ statuses }) => statuses);
  assert.deepEqual(late, told);
  other.feeds.change({ tenantId: "acme", connections: 1 });
  await settle();
  assert.deepEqual(other.take().flatMap(({ statuses }) => statuses), []);
});

Deno.test("Every sample goes on for a worker that comes late from where the others stand", async () => {
  using service = workersFixture();
  const { one, other, clock, sources, settle } = service;
  const every = {
    tenantId: "acme",
    connections: 1,
    devices: [{ deviceId: "dev-1", latest: 0, every: 1 }],
  };
  sources.put("acme", "dev-1", sampleAt(0));
  one.feeds.change(every);
  await clock.advance(2 * POLL_MS);
  const before = one.take().flatMap(({ batches }) => batches).at(-1);
  other.feeds.change(every);
  await settle();
  const [begun] = other.take().flatMap(({ batches }) => batches);
  assert.deepEqual(begun, { ...before, samples: [] });
  sources.put("acme", "dev-1", sampleAt(1));
  await clock.advance(POLL_MS);
  const numbers = (snapshots: readonly Snapshot[]) =>
    snapshots.flatMap(({ batches }) => batches.map(({ number }) => number));
  const next = numbers(one.take());
  assert.ok(next.length > 0);
  assert.deepEqual(numbers(other.take()), next);
});

Deno.test("A worker that is gone follows nothing any more, and the others go on", async () => {
  using service = workersFixture();
  const { one, other, clock, sources, settle } = service;
  const follows = {
    connections: 2,
    devices: [{ deviceId: "dev-1", latest: 1, every: 1 }],
    all: { latest: 1, every: 0 },
    alerts: 1,
    alertChanges: 1,
    fleet: 1,
  };
  one.feeds.change({ tenantId: "acme", connections: 1, devices: DEVICE });
  other.feeds.change({ tenantId: "acme", ...follows });
  other.feeds.change({ tenantId: "globex", ...follows });
  await settle();
  other.member.leave();
  const left = service.registry.interestOf("acme");
  assert.deepEqual(
    [
      left?.connections,
      left?.deviceIds,
      left?.followersOf("dev-1"),
      left?.everyFollowersOf("dev-1"),
    ],
    [1, ["dev-1"], 1, 0],
  );
  assert.equal(left?.followsAll || left?.needsAlerts || left?.followsFleet, false);
  await clock.advance(POLL_MS);
  assert.equal(service.registry.interestOf("globex"), undefined);
  one.take();
  sources.put("acme", "dev-1", sampleAt(2));
  await clock.advance(POLL_MS);
  assert.equal(one.take()[0]?.devices[0]?.sample?.timestamp, sampleAt(2).timestamp);
});

Deno.test("A read that began before a worker followed all devices is not taken for one of all", async () => {
  using service = workersFixture();
  const { one, other, clock, sources, settle } = service;
  for (const id of ["dev-1", "dev-2"]) sources.put("acme", id, sampleAt(1));
  one.feeds.change({ tenantId: "acme", connections: 1, devices: DEVICE });
  const released = Promise.withResolvers<void>();
  sources.hold = released.promise;
  await clock.advance(POLL_MS);
  other.feeds.change({ tenantId: "acme", connections: 1, all: { latest: 1 } });
  sources.hold = null;
  released.resolve();
  await settle();
  const seen = (snapshots: readonly Snapshot[]) =>
    snapshots.map(({ allReadAt, cause, devices }) => [
      cause,
      devices.map(({ deviceId }) => deviceId),
      allReadAt !== null,
    ]);
  assert.deepEqual(seen(one.take()), [["tick", ["dev-1"], false]]);
  assert.deepEqual(seen(other.take()), [["tick", ["dev-1"], false]]);
  await clock.advance(POLL_MS);
  assert.deepEqual(seen(other.take()), [["tick", ["dev-1", "dev-2"], true]]);
});
