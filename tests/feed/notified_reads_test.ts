// Reads of alerts that notifications ask for: how many there are, how far apart, and that none is lost.
import assert from "node:assert/strict";
import type { AlertSource } from "../../src/sources/alert_source.ts";
import { SourceError } from "../../src/sources/source_error.ts";
import { alertOf } from "../support/samples.ts";
import { feedFixture, PHASE_MS, POLL_MS } from "./feed_fixture.ts";

/** A feed whose alerts are followed, just after a tick, and when its reads of them began since then. */
async function notifiedFixture(readMs = 0) {
  const beganAt: number[] = [];
  let startedAt = 0;
  const feed = feedFixture(({ clock, sources }) => {
    const alerts: AlertSource = {
      ...sources.alerts,
      async readOpen(query) {
        beganAt.push(clock.now() - startedAt);
        const open = await sources.alerts.readOpen(query);
        if (readMs > 0) await new Promise<void>((done) => void clock.setTimeout(done, readMs));
        return open;
      },
    };
    // Ticks are rare, so that what happens between two of them is seen.
    return { alerts, pollIntervalMs: 10 * POLL_MS };
  });
  feed.connect();
  feed.feeds.change({ tenantId: "acme", alerts: 1 });
  await feed.clock.advance(10 * PHASE_MS + readMs);
  startedAt = feed.clock.now();
  beganAt.length = 0;
  feed.take();
  return { feed, beganAt, notify: () => feed.feeds.alertsNotified("acme") };
}

Deno.test("A notification has the alerts read at once, for everybody", async () => {
  const { feed, beganAt, notify } = await notifiedFixture();
  feed.sources.setAlerts("acme", [alertOf(1)]);
  notify();
  await feed.clock.advance(50);
  assert.deepEqual(beganAt, [50]);
  const [snapshot, ...more] = feed.take();
  assert.equal(more.length, 0);
  assert.equal(snapshot?.cause, "tick");
  assert.deepEqual(snapshot?.alerts?.frame.message, { type: "alerts", alerts: [alertOf(1)] });
  feed.feeds[Symbol.dispose]();
});

Deno.test("Notifications within 50 ms are one read, and reads are 250 ms apart", async () => {
  const { feed, beganAt, notify } = await notifiedFixture();
  for (let ms = 0; ms < 1_000; ms += 10) {
    notify();
    await feed.clock.advance(10);
  }
  await feed.clock.advance(1_000);
  assert.deepEqual(beganAt, [50, 300, 550, 800, 1_050]);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A notification during a read leads to one read after it", async () => {
  const { feed, beganAt, notify } = await notifiedFixture(400);
  await feed.clock.advance(800);
  notify();
  await feed.clock.advance(100);
  for (let count = 0; count < 3; count++) notify();
  await feed.clock.advance(3_000);
  // The second waits until the first has had its share of the time.
  assert.deepEqual(beganAt, [850, 1_650]);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A notification during a tick's read leads to a read after it", async () => {
  const { feed, beganAt, notify } = await notifiedFixture(100);
  await feed.clock.advance(9_910);
  notify();
  await feed.clock.advance(1_000);
  assert.deepEqual(beganAt, [9_900, 10_100]);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A notification just before a tick is served by the tick", async () => {
  const { feed, beganAt, notify } = await notifiedFixture(100);
  await feed.clock.advance(9_880);
  notify();
  await feed.clock.advance(1_000);
  assert.deepEqual(beganAt, [9_900]);
  feed.feeds[Symbol.dispose]();
});

Deno.test("Notifications of tenants that nobody follows, or whose alerts nobody follows, are ignored", async () => {
  const { feed, beganAt, notify } = await notifiedFixture();
  feed.feeds.alertsNotified("globex");
  assert.equal(feed.feeds.feedCount, 1);
  feed.unfollowAlerts();
  notify();
  await feed.clock.advance(500);
  assert.deepEqual(beganAt, []);
  feed.followAlerts();
  notify();
  feed.unfollowAlerts();
  await feed.clock.advance(500);
  assert.deepEqual(beganAt, []);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A notified read waits for the pause after a failure of the tenant's own", async () => {
  const { feed, beganAt, notify } = await notifiedFixture();
  feed.sources.alertFault = () => new SourceError("denied", "Not authorized");
  notify();
  await feed.clock.advance(60);
  feed.sources.alertFault = null;
  notify();
  await feed.clock.advance(8_000);
  assert.deepEqual(beganAt, [50, 7_550]);
  feed.feeds[Symbol.dispose]();
});

Deno.test("After missed notifications every followed tenant is read once, spread over a second", async () => {
  const feed = feedFixture(() => ({
    pollIntervalMs: 10 * POLL_MS,
    random: () => spreads.shift() ?? 0.999,
  }));
  const spreads: number[] = [];
  for (const tenantId of ["acme", "globex", "idle"]) {
    feed.connect(tenantId);
    if (tenantId !== "idle") feed.feeds.change({ tenantId, alerts: 1 });
  }
  await feed.clock.advance(100);
  spreads.push(0.2, 0.7);
  feed.feeds.alertsMissed();
  feed.feeds.alertsMissed();
  await feed.clock.advance(250);
  assert.deepEqual(feed.sources.alertReads, [{ tenantId: "acme" }]);
  await feed.clock.advance(500);
  assert.deepEqual(feed.sources.alertReads, [{ tenantId: "acme" }, { tenantId: "globex" }]);
  await feed.clock.advance(1_000);
  assert.equal(feed.sources.alertReads.length, 2);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A feed that ends leaves no notified read behind", async () => {
  const { feed, beganAt, notify } = await notifiedFixture();
  notify();
  feed.feeds.alertsMissed();
  feed.feeds[Symbol.dispose]();
  assert.equal(feed.clock.timerCount, 0);
  await feed.clock.advance(2_000);
  assert.deepEqual(beganAt, []);
});
