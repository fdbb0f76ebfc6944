// What a tenant's feed reads, when, and how it is published.
import assert from "node:assert/strict";
import { alertOf, sampleAt } from "../support/samples.ts";
import { feedFixture, LINGER_MS, PHASE_MS, POLL_MS, timedSource } from "./feed_fixture.ts";

Deno.test("A tick reads the union of followed devices in one query and the alerts in another", async () => {
  const feed = feedFixture();
  feed.connect();
  feed.connect();
  feed.follow(["dev-1", "dev-2"]);
  feed.follow(["dev-2", "dev-3"]);
  feed.followAlerts();
  feed.followAlerts();
  await feed.clock.advance(PHASE_MS - 1);
  feed.forget();
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(feed.sources.telemetryReads, [
    { tenantId: "acme", deviceIds: ["dev-1", "dev-2", "dev-3"] },
  ]);
  assert.deepEqual(feed.sources.alertReads, [{ tenantId: "acme" }]);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A tenant that is connected and follows nothing costs no read", async () => {
  const feed = feedFixture();
  feed.connect();
  await feed.clock.advance(10 * POLL_MS);
  assert.deepEqual(feed.sources.telemetryReads, []);
  assert.deepEqual(feed.sources.alertReads, []);
  feed.feeds[Symbol.dispose]();
});

Deno.test("Alerts are read only while somebody follows them", async () => {
  const feed = feedFixture();
  feed.connect();
  feed.follow(["dev-1"]);
  await feed.clock.advance(3 * POLL_MS);
  assert.equal(feed.sources.alertReads.length, 0);
  feed.followAlerts();
  await feed.clock.advance(3 * POLL_MS);
  assert.equal(feed.sources.alertReads.length, 4, "a first read and three ticks");
  feed.unfollowAlerts();
  await feed.clock.advance(3 * POLL_MS);
  assert.equal(feed.sources.alertReads.length, 4);
  feed.feeds[Symbol.dispose]();
});

Deno.test("Telemetry is not read while only alerts are followed", async () => {
  const feed = feedFixture();
  feed.connect();
  feed.follow(["dev-1"]);
  feed.followAlerts();
  feed.unfollow(["dev-1"]);
  await feed.clock.advance(3 * POLL_MS);
  assert.equal(feed.sources.telemetryReads.length, 0);
  assert.ok(feed.sources.alertReads.length > 0);
  feed.feeds[Symbol.dispose]();
});

Deno.test("Two tenants tick at phases of their own", async () => {
  const phases = [0.2, 0.7];
  const feed = feedFixture(() => ({ random: () => phases.shift() ?? 0 }));
  for (const tenantId of ["acme", "globex"]) {
    feed.connect(tenantId);
    feed.feeds.change({ tenantId, alerts: 1 });
  }
  await feed.clock.advance(200);
  assert.deepEqual(feed.sources.alertReads, [{ tenantId: "acme" }]);
  await feed.clock.advance(499);
  assert.equal(feed.sources.alertReads.length, 1);
  await feed.clock.advance(1);
  assert.deepEqual(feed.sources.alertReads[1], { tenantId: "globex" });
  feed.feeds[Symbol.dispose]();
});

Deno.test("A tenant that comes ticks where the others that are there do not", async () => {
  // Nothing of the first three times is far from the first tenant's tick; 0.61 is, also when that goes once around.
  const times = [0.1, 0.15, 0.05, 0.99, 0.61];
  const feed = feedFixture(() => ({ random: () => times.shift() ?? 0.15 }));
  for (const tenantId of ["acme", "globex"]) {
    feed.connect(tenantId);
    feed.feeds.change({ tenantId, alerts: 1 });
  }
  await feed.clock.advance(609);
  assert.deepEqual(feed.sources.alertReads, [{ tenantId: "acme" }]);
  await feed.clock.advance(1);
  assert.deepEqual(feed.sources.alertReads[1], { tenantId: "globex" });
  // Whose tenant left is in nobody's way.
  feed.disconnect("globex");
  await feed.clock.advance(LINGER_MS);
  times.push(0.7);
  feed.forget();
  feed.connect("initech");
  feed.feeds.change({ tenantId: "initech", alerts: 1 });
  await feed.clock.advance(699);
  assert.deepEqual(feed.sources.alertReads, [{ tenantId: "acme" }]);
  await feed.clock.advance(1);
  assert.deepEqual(feed.sources.alertReads[1], { tenantId: "initech" });
  feed.feeds[Symbol.dispose]();
});

Deno.test("The time that reads take is part of the interval, not added to it", async () => {
  let source: ReturnType<typeof timedSource> | undefined;
  const feed = feedFixture((parts) => ({ telemetry: source = timedSource(parts, 200) }));
  feed.connect();
  feed.feeds.change({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: 1 }], alerts: 1 });
  await feed.clock.advance(3 * POLL_MS);
  assert.deepEqual(source?.beganAt, [500, 1500, 2500]);
  feed.feeds[Symbol.dispose]();
});

Deno.test("Reads that take more than half the interval leave ticks out", async () => {
  let source: ReturnType<typeof timedSource> | undefined;
  const feed = feedFixture((parts) => ({ telemetry: source = timedSource(parts, 600) }));
  feed.connect();
  feed.feeds.change({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: 1 }] });
  await feed.clock.advance(5 * POLL_MS);
  assert.deepEqual(source?.beganAt, [500, 2500, 4500]);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A new device is read at once even while ticks are left out", async () => {
  let source: ReturnType<typeof timedSource> | undefined;
  const feed = feedFixture((parts) => ({ telemetry: source = timedSource(parts, 600) }));
  feed.connect();
  feed.feeds.change({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: 1 }] });
  await feed.clock.advance(1_200);
  feed.follow(["dev-2"]);
  await feed.clock.advance(5);
  assert.deepEqual(source?.beganAt, [500, 1205]);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A first read's success does not bring back a tick that is left out", async () => {
  let source: ReturnType<typeof timedSource> | undefined;
  const feed = feedFixture((parts) => ({
    telemetry: source = timedSource(
      parts,
      ({ deviceIds }) => deviceIds.includes("dev-1") ? 600 : 0,
    ),
  }));
  feed.connect();
  feed.feeds.change({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: 1 }] });
  await feed.clock.advance(1_200);
  feed.follow(["dev-2"]);
  await feed.clock.advance(600);
  assert.deepEqual(source?.beganAt, [500, 1205]);
  await feed.clock.advance(1_000);
  assert.deepEqual(source?.beganAt, [500, 1205, 2500]);
  feed.feeds[Symbol.dispose]();
});

Deno.test("Ticks that could not be held are left out and not made up for", async () => {
  const startedAt: number[] = [];
  const feed = feedFixture(({ clock, sources }) => {
    const hang = (takesMs: number) => {
      startedAt.push(clock.now());
      return new Promise<never>((_, reject) =>
        void clock.setTimeout(() => reject(new Error("Gone")), takesMs)
      );
    };
    const takes = [2_300, 2_300, 0, 0, 0, 0, 0, 0];
    return {
      telemetry: { ...sources.telemetry, readLatest: () => hang(takes.shift() ?? 0) },
      alerts: { ...sources.alerts, readOpen: () => hang(takes.shift() ?? 0) },
    };
  });
  const zero = feed.clock.now();
  feed.connect();
  feed.feeds.change({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: 1 }], alerts: 1 });
  await feed.clock.advance(5 * POLL_MS);
  assert.deepEqual([...new Set(startedAt.map((at) => at - zero))], [500, 3500, 4500]);
  feed.feeds[Symbol.dispose]();
});

for (const [hanging, going] of [["telemetry", "alerts"], ["alerts", "telemetry"]] as const) {
  Deno.test(`A hanging read of ${hanging} never delays a push of ${going}`, async () => {
    const feed = feedFixture();
    const release = Promise.withResolvers<void>();
    if (hanging === "telemetry") feed.sources.hold = release.promise;
    else feed.sources.holdAlerts = release.promise;
    feed.connect();
    feed.feeds.change({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: 1 }], alerts: 1 });
    await feed.clock.advance(PHASE_MS + 50);
    for (let tick = 0; tick < 3; tick++) {
      const snapshots = feed.take();
      assert.equal(snapshots.length, 1, `tick ${tick}`);
      assert.equal(snapshots[0]?.alerts !== null, going === "alerts");
      assert.equal(snapshots[0]?.devices.length, going === "alerts" ? 0 : 1);
      await feed.clock.advance(POLL_MS);
    }
    feed.take();
    const { telemetryReads, alertReads } = feed.sources;
    assert.equal((hanging === "telemetry" ? telemetryReads : alertReads).length, 1);
    release.resolve();
    await feed.clock.advance(0);
    const [late] = feed.take();
    assert.equal(late?.alerts === null, hanging === "telemetry", "published when it ends");
    feed.feeds[Symbol.dispose]();
  });
}

Deno.test("A tick's reads that end within 50 ms of each other are published as one", async () => {
  for (const [slowMs, count] of [[0, 1], [49, 1], [51, 2]] as const) {
    const feed = feedFixture((parts) => ({ telemetry: timedSource(parts, slowMs) }));
    feed.connect();
    feed.feeds.change({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: 1 }], alerts: 1 });
    await feed.clock.advance(PHASE_MS + 100);
    const snapshots = feed.take();
    assert.equal(snapshots.length, count, `telemetry took ${slowMs} ms`);
    assert.equal(snapshots.flatMap(({ devices }) => devices).length, 1);
    assert.equal(snapshots.filter(({ alerts }) => alerts !== null).length, 1);
    feed.feeds[Symbol.dispose]();
  }
});

Deno.test("The 50 ms begin with the end of the tick's first read, however long that took", async () => {
  for (const [slowMs, count] of [[349, 1], [351, 2]] as const) {
    const feed = feedFixture((parts) => ({ telemetry: timedSource(parts, slowMs) }));
    const { clock } = feed;
    feed.sources.holdAlerts = new Promise((resolve) =>
      void clock.setTimeout(resolve, PHASE_MS + 300)
    );
    feed.connect();
    feed.feeds.change({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: 1 }], alerts: 1 });
    await clock.advance(PHASE_MS + 400);
    assert.equal(feed.take().length, count, `telemetry took ${slowMs} ms`);
    feed.feeds[Symbol.dispose]();
  }
});

Deno.test("A tick leaves one timer behind: the next tick's", async () => {
  const feed = feedFixture();
  feed.connect();
  feed.feeds.change({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: 1 }], alerts: 1 });
  await feed.clock.advance(PHASE_MS);
  assert.equal(feed.take().length, 1);
  assert.equal(feed.clock.timerCount, 1);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A late list of alerts never replaces a newer one", async () => {
  const feed = feedFixture();
  const release = Promise.withResolvers<void>();
  feed.sources.holdAlerts = release.promise;
  feed.connect();
  feed.feeds.change({ tenantId: "acme", alerts: 1 });
  await feed.clock.advance(PHASE_MS);
  feed.sources.holdAlerts = null;
  feed.sources.setAlerts("acme", [alertOf(1)]);
  feed.followAlerts();
  await feed.clock.advance(5);
  const [newer] = feed.take();
  assert.deepEqual(newer?.alerts?.frame.message, { type: "alerts", alerts: [alertOf(1)] });
  feed.sources.setAlerts("acme", []);
  release.resolve();
  await feed.clock.advance(0);
  const [tick, ...more] = feed.take();
  assert.deepEqual([tick?.cause, tick?.alerts, more], ["tick", null, []]);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A feed follows a device's changes with rising versions and keeps its frame while nothing changes", async () => {
  const feed = feedFixture();
  feed.connect();
  feed.follow(["dev-1"]);
  await feed.clock.advance(PHASE_MS);
  assert.equal(feed.state("dev-1")?.version, 0, "no sample yet");
  feed.sources.put("acme", "dev-1", sampleAt(1));
  await feed.clock.advance(POLL_MS);
  const first = feed.state("dev-1");
  assert.equal(first?.version, 1);
  await feed.clock.advance(POLL_MS);
  const second = feed.state("dev-1");
  assert.equal(second?.frame, first.frame, "the very same frame");
  assert.equal(second?.version, 1);
  assert.ok((second?.seq ?? 0) > first.seq);
  feed.sources.put("acme", "dev-1", sampleAt(1, { temp_c: 2 }));
  await feed.clock.advance(POLL_MS);
  const third = feed.state("dev-1");
  assert.equal(third?.version, 2);
  assert.notEqual(third?.frame, first.frame);
  feed.feeds[Symbol.dispose]();
});
