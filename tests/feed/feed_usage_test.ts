import assert from "node:assert/strict";
import { feedFixture, PHASE_MS, POLL_MS } from "./feed_fixture.ts";
import { outage } from "../support/fake_sources.ts";

Deno.test("Each tick is told with how late it began, and only ticks are", async () => {
  const ticks: number[] = [];
  const { clock, connect, follow } = feedFixture(() => ({
    metrics: { ticked: (lateMs) => void ticks.push(lateMs) },
  }));
  connect();
  follow(["dev-1"]);
  await clock.advance(PHASE_MS - 1);
  assert.deepEqual(ticks, []);
  await clock.advance(1 + 2 * POLL_MS);
  assert.deepEqual(ticks, [0, 0, 0]);
});

Deno.test("What a feed holds grows older while its source fails, and is as old as its read once it answers", async () => {
  const { clock, connect, feeds, follow, sources } = feedFixture();
  connect();
  follow(["dev-1"]);
  await clock.advance(PHASE_MS);
  assert.equal(feeds.usage.snapshotAgeMs.telemetry, 0);
  assert.equal(feeds.usage.snapshotAgeMs.alerts, 0, "nobody follows alerts");
  sources.telemetryFault = outage;
  await clock.advance(3 * POLL_MS);
  assert.equal(feeds.usage.snapshotAgeMs.telemetry, 3 * POLL_MS);
  sources.telemetryFault = null;
  await clock.advance(POLL_MS);
  assert.equal(feeds.usage.snapshotAgeMs.telemetry, 0);
});

Deno.test("What is held of a source grows old from when somebody wants it, however long the feed has run", async () => {
  const { clock, connect, feeds, follow, followAlerts, sources } = feedFixture();
  connect();
  follow(["dev-1"]);
  await clock.advance(3_600 * POLL_MS);
  sources.alertFault = outage;
  followAlerts();
  await clock.advance(3 * POLL_MS);
  assert.equal(feeds.usage.snapshotAgeMs.alerts, 3 * POLL_MS);
});

Deno.test("The stretch is that of the tenant whose reads are slowest", async () => {
  const { clock, connect, feeds, follow, sources } = feedFixture();
  assert.deepEqual(feeds.usage.stretch, { telemetry: 1, alerts: 1 });
  connect();
  connect("globex");
  follow(["dev-1"]);
  await clock.advance(PHASE_MS - 1);
  assert.deepEqual(feeds.usage.stretch, { telemetry: 1, alerts: 1 });
  const { promise, resolve } = Promise.withResolvers<void>();
  sources.hold = promise;
  await clock.advance(1 + 1.2 * POLL_MS);
  resolve();
  sources.hold = null;
  await clock.advance(0);
  assert.deepEqual(feeds.usage.stretch, { telemetry: 3, alerts: 1 });
  assert.equal(feeds.usage.feeds, 2);
});
