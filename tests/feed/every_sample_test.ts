// Every stored sample of a followed device: how it is read, in how few queries, and what becomes of what comes late.
import assert from "node:assert/strict";
import type { FeedRegistryOptions } from "../../src/feed/feed_registry.ts";
import type { DeviceBatch } from "../../src/feed/seam.ts";
import { instantOfMs } from "../../src/protocol/nano_instant.ts";
import { SourceError } from "../../src/sources/source_error.ts";
import { outage } from "../support/fake_sources.ts";
import { type FeedFixture, feedFixture, LATE_MS, PHASE_MS, POLL_MS } from "./feed_fixture.ts";
import { StoredTelemetry } from "./stored_telemetry.ts";

interface EveryFixture extends Disposable {
  readonly feed: FeedFixture;
  readonly telemetry: StoredTelemetry;
  /** Batches since the last call. */
  batches(): readonly DeviceBatch[];
  /** Timestamps of the samples since the last call, in the order in which they were delivered. */
  samples(deviceId?: string): readonly string[];
  /** The same of several devices, of each its own. */
  samplesOf(deviceIds: readonly string[]): readonly (readonly string[])[];
}

function everyFixture(overrides: Partial<FeedRegistryOptions> = {}): EveryFixture {
  let telemetry: StoredTelemetry | undefined;
  const feed = feedFixture(({ clock }) => ({
    telemetry: telemetry = new StoredTelemetry(clock),
    ...overrides,
  }));
  assert.ok(telemetry);
  feed.connect();
  const batches = () => feed.take().flatMap((snapshot) => snapshot.batches);
  return {
    feed,
    telemetry,
    batches,
    samples: (deviceId = "dev-1") => timestampsOf(deviceId, batches()),
    samplesOf: (deviceIds) => {
      const delivered = batches();
      return deviceIds.map((deviceId) => timestampsOf(deviceId, delivered));
    },
    [Symbol.dispose]: () => feed.feeds[Symbol.dispose](),
  };
}

function timestampsOf(deviceId: string, batches: readonly DeviceBatch[]): readonly string[] {
  return batches.filter((batch) => batch.deviceId === deviceId)
    .flatMap(({ samples }) => samples.map(({ sample }) => sample.timestamp));
}

/** Passes the tick that begins the device. */
async function begin({ feed, batches }: EveryFixture, deviceIds = ["dev-1"]): Promise<void> {
  feed.followEvery(deviceIds);
  await feed.clock.advance(PHASE_MS);
  batches();
}

Deno.test("A device that is followed for every sample begins within a few milliseconds, with a batch of none", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  const newest = telemetry.store("dev-1");
  const late = telemetry.store("dev-1", { ageMs: 2_000 });
  feed.followEvery(["dev-1"]);
  await feed.clock.advance(5);
  const [batch, ...more] = world.batches();
  assert.equal(more.length, 0);
  assert.deepEqual({ ...batch }, {
    deviceId: "dev-1",
    number: 1,
    readAt: feed.clock.now(),
    samples: [],
    floor: instantOfMs(Date.parse(`${newest.slice(0, 23)}Z`) - LATE_MS),
    seen: [late, newest],
  });
  await feed.clock.advance(3 * POLL_MS);
  assert.deepEqual(world.batches(), [], "what was stored before is told to nobody");
});

Deno.test("Each batch holds what was stored since the one before it, ascending", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  await begin(world);
  const [later, earlier] = [telemetry.store("dev-1"), telemetry.store("dev-1", { ageMs: 500 })];
  await feed.clock.advance(POLL_MS);
  const [second] = world.batches();
  assert.equal(second?.number, 2);
  assert.deepEqual(second?.samples.map(({ sample }) => sample.timestamp), [earlier, later]);
  assert.equal(second?.readAt, feed.clock.now());
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(world.batches(), [], "nothing new, no batch");
  const last = telemetry.store("dev-1");
  await feed.clock.advance(POLL_MS);
  const [third] = world.batches();
  assert.equal(third?.number, 3);
  assert.deepEqual(third?.samples.map(({ frame }) => frame.message), [
    { type: "telemetry", device_id: "dev-1", data: third?.samples[0]?.sample },
  ]);
  assert.equal(third?.samples[0]?.sample.timestamp, last);
});

Deno.test("A tick reads many near devices in one range and nothing else, however many follow them", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  const devices = ["dev-1", "dev-2", "dev-3"];
  for (const deviceId of devices) telemetry.store(deviceId);
  await begin(world, devices);
  feed.followEvery(devices);
  feed.follow(devices);
  await feed.clock.advance(POLL_MS);
  feed.forget();
  telemetry.forget();
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(telemetry.ranges.map(({ deviceIds }) => deviceIds), [devices]);
  assert.deepEqual(telemetry.latest, []);
  const [snapshot, ...more] = feed.take();
  assert.equal(more.length, 0);
  assert.deepEqual(snapshot?.devices.map(({ deviceId }) => deviceId), devices);
  assert.deepEqual(
    snapshot?.devices.map(({ readAt }) => readAt),
    devices.map(() => feed.clock.now()),
  );
});

Deno.test("A silent device costs no range; with the followers of newest samples it shares one read", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  telemetry.store("dev-1", { ageMs: 3_600_000 });
  feed.follow(["dev-2"]);
  await begin(world);
  telemetry.forget();
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(telemetry.ranges, []);
  assert.deepEqual(telemetry.latest, [["dev-2", "dev-1"]]);
  const sample = telemetry.store("dev-1");
  telemetry.forget();
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(telemetry.latest, [["dev-2", "dev-1"]]);
  assert.deepEqual(telemetry.ranges.map(({ deviceIds }) => deviceIds), [["dev-1"]]);
  assert.deepEqual(world.samples(), [sample]);
});

Deno.test("The newest state of a device that is read as a range is delivered at every tick, and goes stale", async () => {
  using world = everyFixture({ staleMs: 3_000 });
  const { feed, telemetry } = world;
  telemetry.store("dev-1");
  await begin(world);
  const stale: (boolean | undefined)[] = [];
  for (let tick = 0; tick < 5; tick++) {
    await feed.clock.advance(POLL_MS);
    stale.push(feed.state("dev-1")?.isStale);
    assert.equal(feed.state("dev-1")?.readAt, feed.clock.now());
  }
  assert.deepEqual(stale, [false, false, true, true, true]);
  assert.deepEqual(telemetry.latest.length, 1, "only the beginning's");
  telemetry.store("dev-1");
  await feed.clock.advance(POLL_MS);
  assert.equal(feed.state("dev-1")?.isStale, false);
  assert.equal(feed.state("dev-1")?.version, 2);
});

Deno.test("The newest sample's message is made once for those who follow the newest and those who follow all", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  await begin(world);
  telemetry.store("dev-1");
  await feed.clock.advance(POLL_MS);
  await feed.clock.advance(POLL_MS);
  telemetry.store("dev-1");
  await feed.clock.advance(POLL_MS);
  const [batch] = world.batches().slice(-1);
  assert.equal(batch?.samples[0]?.frame, feed.state("dev-1")?.frame);
});

Deno.test("A sample that comes late is delivered after newer ones, and one that comes too late is not", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  await begin(world);
  telemetry.store("dev-1");
  await feed.clock.advance(POLL_MS);
  world.batches();
  const late = telemetry.store("dev-1", { ageMs: LATE_MS - POLL_MS });
  telemetry.store("dev-1", { ageMs: LATE_MS + 2 * POLL_MS });
  await feed.clock.advance(2 * POLL_MS);
  assert.deepEqual(world.samples(), [late]);
});

Deno.test("A sample that came late while nothing could be read is delivered after a long outage", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  await begin(world);
  telemetry.store("dev-1");
  await feed.clock.advance(POLL_MS);
  world.batches();
  telemetry.fault = outage;
  const late = telemetry.store("dev-1", { ageMs: 5_000 });
  await feed.clock.advance(60 * POLL_MS);
  telemetry.fault = null;
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(world.samples(), [late]);
});

Deno.test("A device whose clock is ahead loses none of its samples that are not", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  await begin(world);
  const expected = [telemetry.store("dev-1", { ageMs: -50_000 })];
  for (let tick = 0; tick < 20; tick++) {
    expected.push(telemetry.store("dev-1"));
    await feed.clock.advance(POLL_MS);
  }
  assert.deepEqual(world.samples().toSorted(), expected.toSorted());
});

Deno.test("A device whose clock is behind is read from its own cursor, without the others", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  const behindMs = 3_600_000;
  telemetry.store("slow", { ageMs: behindMs });
  telemetry.store("dev-1");
  await begin(world, ["slow", "dev-1"]);
  const expected: string[] = [];
  for (let tick = 0; tick < 5; tick++) {
    expected.push(telemetry.store("slow", { ageMs: behindMs }));
    telemetry.store("dev-1");
    telemetry.forget();
    await feed.clock.advance(POLL_MS);
    assert.deepEqual(telemetry.ranges.map(({ deviceIds }) => deviceIds), [["dev-1"], ["slow"]]);
  }
  assert.deepEqual(world.samples("slow"), expected);
});

Deno.test("What comes late of a device whose clock is behind is delivered with its next newer sample", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  const behindMs = 3_600_000;
  const known = telemetry.store("slow", { ageMs: behindMs + LATE_MS });
  await begin(world, ["slow"]);
  const newest = telemetry.store("slow", { ageMs: behindMs });
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(world.samples("slow"), [newest]);
  const late = telemetry.store("slow", { ageMs: behindMs + LATE_MS / 2 });
  assert.ok(known < late && late < newest);
  telemetry.forget();
  await feed.clock.advance(2 * POLL_MS);
  assert.deepEqual([world.samples("slow"), telemetry.ranges], [[], []], "its newest says nothing");
  const next = telemetry.store("slow", { ageMs: behindMs });
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(world.samples("slow"), [late, next]);
});

Deno.test("Devices that were silent for very different times are not read from the earliest of them", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  const ages = { minute: 60_000, minutes: 200_000, hour: 3_600_000 };
  for (const [deviceId, ageMs] of Object.entries(ages)) telemetry.store(deviceId, { ageMs });
  await begin(world, Object.keys(ages));
  for (const deviceId of Object.keys(ages)) telemetry.store(deviceId);
  telemetry.forget();
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(telemetry.ranges.map(({ deviceIds }) => deviceIds), [
    ["minute", "minutes"],
    ["hour"],
  ]);
});

Deno.test("What a read was truncated of comes with the next ticks, once and in order", async () => {
  using world = everyFixture({ maxRangeSamples: 10 });
  const { feed, telemetry } = world;
  await begin(world);
  await feed.clock.advance(POLL_MS);
  const expected = Array.from(
    { length: 45 },
    (_, index) => telemetry.store("dev-1", { ageMs: 450 - 10 * index }),
  );
  const sizes: number[] = [];
  const found: string[] = [];
  for (let tick = 0; tick < 8; tick++) {
    await feed.clock.advance(POLL_MS);
    const samples = world.samples();
    sizes.push(samples.length);
    found.push(...samples);
  }
  assert.deepEqual(sizes, [10, 10, 10, 10, 5, 0, 0, 0]);
  assert.deepEqual(found, expected);
});

Deno.test("A device that writes more than one read brings does not hold back its late samples for good", async () => {
  using world = everyFixture({ maxRangeSamples: 10 });
  const { feed, telemetry } = world;
  await begin(world);
  const expected: string[] = [];
  for (let tick = 0; tick < 12; tick++) {
    for (const ageMs of [8, 6, 4, 2]) expected.push(telemetry.store("dev-1", { ageMs }));
    expected.push(telemetry.store("dev-1", { ageMs: 4_001 }));
    await feed.clock.advance(POLL_MS);
  }
  await feed.clock.advance(20 * POLL_MS);
  assert.deepEqual(world.samples().toSorted(), expected.toSorted());
});

Deno.test("A beginning that can't be looked through whole tells nothing that was stored before", async () => {
  using world = everyFixture({ maxRangeSamples: 5 });
  const { feed, telemetry } = world;
  const stored = Array.from(
    { length: 20 },
    (_, index) => telemetry.store("dev-1", { ageMs: 200 - 10 * index }),
  );
  feed.followEvery(["dev-1"]);
  await feed.clock.advance(5);
  assert.equal(world.batches()[0]?.floor, stored[15]);
  const sample = telemetry.store("dev-1");
  await feed.clock.advance(5 * POLL_MS);
  assert.deepEqual(world.samples(), [sample]);
});

Deno.test("A read that fails between two batches loses nothing and repeats nothing", async () => {
  for (const kind of ["range", "latest"] as const) {
    using world = everyFixture();
    const { feed, telemetry } = world;
    telemetry.store("silent", { ageMs: 600_000 });
    await begin(world, ["dev-1", "silent"]);
    const expected: string[] = [];
    const found: string[] = [];
    for (let tick = 0; tick < 12; tick++) {
      telemetry.fault = tick % 3 === 1 ? (read) => read === kind ? outage() : null : null;
      expected.push(telemetry.store("dev-1"));
      await feed.clock.advance(POLL_MS);
      found.push(...world.samples());
    }
    assert.deepEqual(found, expected, kind);
  }
});

Deno.test("A failed beginning is made up for by the next tick, which tells nothing twice", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  telemetry.store("dev-1");
  telemetry.fault = (kind) => kind === "range" ? outage() : null;
  feed.followEvery(["dev-1"]);
  await feed.clock.advance(100);
  assert.deepEqual(world.batches(), []);
  assert.equal(telemetry.ranges.length, 1, "not tried again before the tick");
  telemetry.fault = null;
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(world.batches().map(({ number, samples }) => [number, samples.length]), [[
    1,
    0,
  ]]);
});

Deno.test("A device that is followed again begins anew, and a read that was under way for the time before tells nothing", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  await begin(world);
  telemetry.store("dev-1");
  telemetry.readMs = 200;
  telemetry.seesEnd = true;
  await feed.clock.advance(POLL_MS + 100);
  feed.unfollowEvery(["dev-1"]);
  feed.followEvery(["dev-1"]);
  await feed.clock.advance(700);
  assert.deepEqual(world.batches().map(({ number, samples }) => [number, samples.length]), [[
    1,
    0,
  ]]);
  telemetry.readMs = 0;
  const sample = telemetry.store("dev-1");
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(world.samples(), [sample]);
});

for (const follows of ["named", "all"] as const) {
  Deno.test(`What one read of a tick brought is told to nobody who came while another was under way (${follows})`, async () => {
    using world = everyFixture();
    const { feed, telemetry, batches } = world;
    telemetry.store("dev-1");
    // Of the newest only: with it each tick makes two reads.
    feed.follow(["dev-2"]);
    const follow = (by: 1 | -1) =>
      follows === "all"
        ? feed.feeds.change({ tenantId: "acme", all: { latest: 0, every: by } })
        : by > 0
        ? feed.followEvery(["dev-1"])
        : feed.unfollowEvery(["dev-1"]);
    follow(1);
    await feed.clock.advance(PHASE_MS + POLL_MS);
    batches();
    const told = telemetry.store("dev-1");
    telemetry.fault = (kind) => {
      telemetry.readMs = kind === "latest" ? 300 : 0;
      return null;
    };
    await feed.clock.advance(POLL_MS - 100);
    await feed.clock.advance(200);
    follow(-1);
    follow(1);
    telemetry.fault = null;
    telemetry.readMs = 0;
    await feed.clock.advance(3 * POLL_MS);
    const [first, ...more] = batches();
    assert.deepEqual([first?.deviceId, first?.number, first?.samples], ["dev-1", 1, []]);
    assert.deepEqual(more, [], `${told} was stored before they came`);
  });
}

Deno.test("A second follower does not make a device begin again", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  await begin(world);
  const sample = telemetry.store("dev-1");
  feed.followEvery(["dev-1"]);
  await feed.clock.advance(2 * POLL_MS);
  assert.deepEqual(world.samples(), [sample]);
  feed.unfollowEvery(["dev-1"]);
  const next = telemetry.store("dev-1");
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(world.samples(), [next], "one of two is left");
  feed.unfollowEvery(["dev-1"]);
  telemetry.forget();
  telemetry.store("dev-1");
  await feed.clock.advance(2 * POLL_MS);
  assert.deepEqual(world.batches(), []);
  assert.deepEqual(telemetry.ranges, []);
});

Deno.test("One instant is one sample, however often it is written", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  await begin(world);
  const sample = telemetry.store("dev-1");
  await feed.clock.advance(POLL_MS);
  telemetry.storeAt("dev-1", sample);
  await feed.clock.advance(2 * POLL_MS);
  assert.deepEqual(world.samples(), [sample]);
  assert.equal(feed.state("dev-1")?.version, 2, "who follows the newest sees what it became");
});

Deno.test("A device whose range is refused is set aside and the others go on", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  const devices = ["dev-1", "dev-2", "dev-3"];
  for (const deviceId of devices) telemetry.store(deviceId);
  await begin(world, devices);
  telemetry.fault = (kind, deviceIds) =>
    kind === "range" && deviceIds.includes("dev-2")
      ? new SourceError("rejected", "Conflict")
      : null;
  const expected: string[] = [];
  for (let tick = 0; tick < 3; tick++) {
    expected.push(telemetry.store("dev-1"));
    telemetry.store("dev-2");
    await feed.clock.advance(POLL_MS);
  }
  assert.equal(feed.state("dev-2")?.readAt, feed.clock.now(), "its newest is read as others' is");
  assert.deepEqual(world.samples(), expected);
  assert.deepEqual(feed.log.of("devices_set_aside").map(({ fields }) => fields.devices), [[
    "dev-2",
  ]]);
  telemetry.fault = null;
  await feed.clock.advance(65_000);
  assert.equal(world.samples("dev-2").length, 3, "nothing of it was lost");
});

Deno.test("A silent device's long read does not hold back what the others have", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  telemetry.store("silent", { ageMs: 600_000 });
  await begin(world, ["dev-1", "silent"]);
  telemetry.store("dev-1");
  await feed.clock.advance(POLL_MS);
  world.batches();
  telemetry.store("silent");
  const next = telemetry.store("dev-1");
  telemetry.fault = (kind, deviceIds) => {
    // Only the read of the silent one takes long.
    telemetry.readMs = kind === "range" && deviceIds.includes("silent") ? 400 : 0;
    return null;
  };
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(world.samples(), [next]);
  await feed.clock.advance(400);
  assert.equal(world.samples("silent").length, 1);
});

Deno.test("A sample that is stored after a device is asked for and before its first read is told", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  telemetry.store("dev-1");
  feed.followEvery(["dev-1"]);
  await feed.clock.advance(2);
  const stored = telemetry.store("dev-1");
  await feed.clock.advance(PHASE_MS);
  assert.deepEqual(world.samples(), [stored]);
});

Deno.test("Who begins to follow while telemetry is down is told what was stored meanwhile, once it is read", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  telemetry.store("dev-1");
  telemetry.store("dev-2", { ageMs: 3_600_000 });
  telemetry.fault = () => outage();
  feed.followEvery(["dev-1", "dev-2", "dev-3"]);
  await feed.clock.advance(POLL_MS);
  // What a writer held back in the meantime comes with the outage's end, each with the time at which it was taken.
  await feed.clock.advance(10 * LATE_MS);
  const stored = ["dev-1", "dev-2", "dev-3"].map((deviceId) =>
    [25_000, 12_000, 1_000].map((ageMs) => telemetry.store(deviceId, { ageMs }))
  );
  telemetry.fault = null;
  await feed.clock.advance(65_000);
  assert.deepEqual(world.samplesOf(["dev-1", "dev-2", "dev-3"]), stored);
});

Deno.test("Who begins to follow all devices while telemetry is down is told what was stored meanwhile", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  telemetry.store("dev-1");
  telemetry.fault = () => outage();
  feed.feeds.change({ tenantId: "acme", all: { latest: 0, every: 1 } });
  await feed.clock.advance(POLL_MS);
  const first = telemetry.store("dev-1");
  const other = telemetry.store("dev-2");
  await feed.clock.advance(10 * LATE_MS);
  // Asked for by its name in the middle: who follows all does so for longer.
  feed.followEvery(["dev-2"]);
  const second = telemetry.store("dev-1");
  telemetry.fault = null;
  await feed.clock.advance(65_000);
  assert.deepEqual(world.samplesOf(["dev-1", "dev-2"]), [[first, second], [other]]);
});

Deno.test("A device that a read of all did not find is new, also where an earlier one was under way and failed", async () => {
  using world = everyFixture();
  const { feed, telemetry } = world;
  telemetry.readMs = 700;
  telemetry.fault = () => new SourceError("unavailable", "No");
  feed.feeds.change({ tenantId: "acme", all: { latest: 0, every: 1 } });
  await feed.clock.advance(300);
  telemetry.fault = null;
  await feed.clock.advance(PHASE_MS);
  assert.equal(telemetry.latest.length, 2, "the first one has failed, and the tick's goes on");
  await feed.clock.advance(500);
  telemetry.readMs = 0;
  const sample = telemetry.store("dev-1", { ageMs: 2_000 });
  await feed.clock.advance(3 * POLL_MS);
  assert.deepEqual(world.samples(), [sample]);
});

Deno.test("More than one read brings of an outage's samples comes in order, until all are told", async () => {
  using world = everyFixture({ maxRangeSamples: 5 });
  const { feed, telemetry } = world;
  telemetry.store("dev-1");
  telemetry.fault = () => outage();
  feed.followEvery(["dev-1"]);
  const stored: string[] = [];
  for (let nth = 0; nth < 23; nth++) {
    await feed.clock.advance(POLL_MS);
    stored.push(telemetry.store("dev-1"));
  }
  telemetry.fault = null;
  await feed.clock.advance(75_000);
  assert.deepEqual(world.samples(), stored);
});
