// First values: what nobody followed a moment ago is read at once, and no more often than it must be.
import assert from "node:assert/strict";
import { sampleAt } from "../support/samples.ts";
import { feedFixture, PHASE_MS, POLL_MS } from "./feed_fixture.ts";

Deno.test("Devices that are new within 5 ms are read at once, together", async () => {
  const feed = feedFixture();
  feed.connect();
  feed.follow(["dev-1"]);
  await feed.clock.advance(4);
  feed.follow(["dev-2"]);
  assert.deepEqual(feed.sources.telemetryReads, []);
  await feed.clock.advance(1);
  assert.deepEqual(feed.sources.telemetryReads, [
    { tenantId: "acme", deviceIds: ["dev-1", "dev-2"] },
  ]);
  const [snapshot] = feed.take();
  assert.equal(snapshot?.cause, "first");
  feed.feeds[Symbol.dispose]();
});

Deno.test("A first read under way is shared by those who come meanwhile; new devices share the next", async () => {
  const feed = feedFixture();
  const release = Promise.withResolvers<void>();
  feed.sources.hold = release.promise;
  feed.connect();
  feed.follow(["dev-1"]);
  await feed.clock.advance(5);
  feed.follow(["dev-1", "dev-2"]);
  await feed.clock.advance(20);
  feed.follow(["dev-3"]);
  await feed.clock.advance(20);
  assert.equal(feed.sources.telemetryReads.length, 1);
  feed.sources.hold = null;
  release.resolve();
  await feed.clock.advance(0);
  assert.deepEqual(feed.sources.telemetryReads.map(({ deviceIds }) => deviceIds), [
    ["dev-1"],
    ["dev-2", "dev-3"],
  ]);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A first read of alerts under way is shared by those who come meanwhile", async () => {
  const feed = feedFixture();
  const release = Promise.withResolvers<void>();
  feed.sources.holdAlerts = release.promise;
  feed.connect();
  feed.followAlerts();
  await feed.clock.advance(5);
  feed.followAlerts();
  await feed.clock.advance(20);
  assert.equal(feed.sources.alertReads.length, 1);
  release.resolve();
  await feed.clock.advance(0);
  assert.equal(feed.take().length, 1);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A device that was unfollowed before its first read is not read", async () => {
  const feed = feedFixture();
  feed.connect();
  feed.follow(["dev-1"]);
  feed.unfollow(["dev-1"]);
  await feed.clock.advance(3 * POLL_MS);
  assert.deepEqual(feed.sources.telemetryReads, []);
  feed.feeds[Symbol.dispose]();
});

Deno.test("Alerts that were unfollowed before their first read are not read", async () => {
  const feed = feedFixture();
  feed.connect();
  feed.followAlerts();
  feed.unfollowAlerts();
  await feed.clock.advance(3 * POLL_MS);
  assert.deepEqual(feed.sources.alertReads, []);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A device that nobody follows any more is forgotten", async () => {
  const feed = feedFixture();
  feed.connect();
  feed.sources.put("acme", "dev-1", sampleAt(1));
  feed.follow(["dev-1"]);
  await feed.clock.advance(5);
  const before = feed.state("dev-1");
  feed.unfollow(["dev-1"]);
  feed.follow(["dev-1"]);
  await feed.clock.advance(5);
  assert.ok(before?.frame);
  assert.notEqual(feed.state("dev-1")?.frame, before.frame, "a kept sample would have kept it");
  feed.feeds[Symbol.dispose]();
});

Deno.test("A device that was unfollowed while it was read is forgotten too", async () => {
  const feed = feedFixture();
  const release = Promise.withResolvers<void>();
  feed.sources.hold = release.promise;
  feed.sources.put("acme", "dev-1", sampleAt(1));
  feed.connect();
  feed.follow(["dev-1"]);
  await feed.clock.advance(5);
  feed.unfollow(["dev-1"]);
  release.resolve();
  await feed.clock.advance(0);
  feed.sources.put("acme", "dev-1", sampleAt(2));
  feed.follow(["dev-1"]);
  await feed.clock.advance(5);
  assert.equal(feed.state("dev-1")?.version, 1);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A late answer of a tick never replaces the newer one of a first read", async () => {
  const feed = feedFixture();
  const release = Promise.withResolvers<void>();
  feed.connect();
  feed.feeds.change({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: 1 }] });
  feed.sources.hold = release.promise;
  await feed.clock.advance(PHASE_MS);
  feed.sources.hold = null;
  feed.sources.put("acme", "dev-1", sampleAt(2));
  feed.follow(["dev-1"]);
  await feed.clock.advance(5);
  const newer = feed.state("dev-1");
  assert.equal(newer?.version, 1);
  feed.sources.put("acme", "dev-1", sampleAt(1));
  release.resolve();
  await feed.clock.advance(0);
  assert.equal(feed.sources.telemetryReads.length, 2);
  assert.equal(feed.state("dev-1"), newer);
  feed.feeds[Symbol.dispose]();
});
