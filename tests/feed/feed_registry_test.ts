// When feeds start and end.
import assert from "node:assert/strict";
import { sampleAt } from "../support/samples.ts";
import { feedFixture, LINGER_MS, POLL_MS } from "./feed_fixture.ts";

Deno.test("A feed ends a linger after its tenant's last connection and leaves no timer and no read", async () => {
  const feed = feedFixture();
  feed.connect();
  feed.follow(["dev-1"]);
  feed.followAlerts();
  await feed.clock.advance(2 * POLL_MS);
  feed.unfollow(["dev-1"]);
  feed.unfollowAlerts();
  feed.disconnect();
  await feed.clock.advance(LINGER_MS - 1);
  assert.equal(feed.feeds.feedCount, 1);
  await feed.clock.advance(1);
  assert.equal(feed.feeds.feedCount, 0);
  assert.equal(feed.clock.timerCount, 0);
  feed.forget();
  await feed.clock.advance(10 * POLL_MS);
  assert.deepEqual(feed.sources.telemetryReads, []);
  assert.deepEqual(feed.sources.alertReads, []);
});

Deno.test("A connection during the linger keeps the feed", async () => {
  const feed = feedFixture();
  feed.connect();
  feed.disconnect();
  await feed.clock.advance(LINGER_MS - 1);
  feed.connect();
  const interest = feed.feeds.interestOf("acme");
  await feed.clock.advance(10 * POLL_MS);
  assert.equal(feed.feeds.interestOf("acme"), interest);
  assert.equal(interest?.connections, 1);
  feed.disconnect();
  await feed.clock.advance(LINGER_MS - 1);
  assert.equal(feed.feeds.feedCount, 1, "the linger starts anew");
  await feed.clock.advance(1);
  assert.equal(feed.feeds.feedCount, 0);
});

Deno.test("A feed that ends aborts its read under way and delivers nothing of it", async () => {
  const signals: AbortSignal[] = [];
  const answer = Promise.withResolvers<void>();
  const feed = feedFixture(({ sources }) => ({
    telemetry: {
      ...sources.telemetry,
      async readLatest(query) {
        signals.push(query.signal);
        await answer.promise;
        return await sources.telemetry.readLatest(query);
      },
    },
  }));
  feed.sources.put("acme", "dev-1", sampleAt(1));
  feed.connect();
  feed.follow(["dev-1"]);
  await feed.clock.advance(5);
  feed.feeds[Symbol.dispose]();
  assert.deepEqual(signals.map(({ aborted }) => aborted), [true]);
  answer.resolve();
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(feed.take(), []);
  assert.equal(feed.sources.telemetryReads.length, 1, "it did answer");
  assert.equal(feed.clock.timerCount, 0);
});

Deno.test("A read that ends with its feed is not told as a failure", async () => {
  const feed = feedFixture();
  feed.sources.hold = new Promise(() => {});
  feed.sources.holdAlerts = feed.sources.hold;
  feed.connect();
  feed.follow(["dev-1"]);
  feed.followAlerts();
  await feed.clock.advance(2 * POLL_MS);
  feed.feeds[Symbol.dispose]();
  await feed.clock.advance(POLL_MS);
  assert.ok(feed.sources.telemetryReads.length > 0);
  assert.deepEqual(feed.log.records, []);
  assert.equal(feed.clock.timerCount, 0);
});

Deno.test("A first read that is due when the feed ends is not made", async () => {
  const feed = feedFixture();
  feed.connect();
  feed.follow(["dev-1"]);
  feed.feeds[Symbol.dispose]();
  assert.equal(feed.clock.timerCount, 0);
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(feed.sources.telemetryReads, []);
});

Deno.test("What connections say after the end starts no feed and throws nothing", () => {
  const feed = feedFixture();
  feed.connect();
  feed.feeds[Symbol.dispose]();
  feed.disconnect();
  feed.connect("globex");
  assert.equal(feed.feeds.feedCount, 0);
  assert.equal(feed.clock.timerCount, 0);
});

Deno.test("Interest of a tenant that is not connected is refused and starts no feed", () => {
  const feed = feedFixture();
  for (const change of [{ connections: -1 }, { alerts: 1 }, {}]) {
    assert.throws(() => feed.feeds.change({ tenantId: "acme", ...change }), {
      message: 'Interest of tenant "acme" changed before it connected',
    });
  }
  assert.equal(feed.feeds.feedCount, 0);
  assert.equal(feed.clock.timerCount, 0);
});
