// What a tenant's clients are told of the sources: what hits everybody, what hits the tenant alone, and nothing that is
// not a state yet.
import assert from "node:assert/strict";
import type { SourceState } from "../../src/sources/source_guard.ts";
import type { SourceStatus } from "../../src/feed/seam.ts";
import type { SourceName } from "../../src/protocol/server_messages.ts";
import { SourceError } from "../../src/sources/source_error.ts";
import { outage } from "../support/fake_sources.ts";
import type { FakeClock } from "../support/fake_clock.ts";
import { feedFixture, POLL_MS } from "./feed_fixture.ts";

function statusFixture(random = () => 0.5) {
  const states: Record<SourceName, SourceState> = {
    telemetry: { state: "ok", since: 0, retryAt: null },
    alerts: { state: "unknown", since: 0, retryAt: null },
  };
  const feed = feedFixture(() => ({ states: () => states, random }));
  feed.connect();
  feed.follow(["dev-1"]);
  feed.followAlerts();
  return {
    feed,
    states,
    statuses: (): readonly SourceStatus[] => feed.take().flatMap((snapshot) => snapshot.statuses),
    [Symbol.dispose]: () => feed.feeds[Symbol.dispose](),
  };
}

const degraded: SourceState = { state: "degraded", since: 4_711, retryAt: 4_811 };

/** Of a state that lasts only the next attempt is told anew, each time it is put off. */
function assertPutOff(first: SourceStatus, later: readonly SourceStatus[]): void {
  let before = first.retryAt ?? Infinity;
  for (const { retryAt, ...status } of later) {
    assert.deepEqual({ ...status, retryAt: first.retryAt }, first);
    assert.ok(retryAt !== null && retryAt > before);
    before = retryAt;
  }
}

Deno.test("A source that is well from the start is not spoken of", async () => {
  using world = statusFixture();
  await world.feed.clock.advance(3 * POLL_MS);
  assert.deepEqual(world.statuses(), []);
});

Deno.test("An outage is told once with the guard's own times, and its end once", async () => {
  for (const source of ["telemetry", "alerts"] as const) {
    using world = statusFixture();
    const { feed, states } = world;
    await feed.clock.advance(POLL_MS);
    states[source] = degraded;
    if (source === "telemetry") feed.sources.telemetryFault = outage;
    else feed.sources.alertFault = outage;
    await feed.clock.advance(3 * POLL_MS);
    assert.deepEqual(world.statuses(), [{ source, ...degraded }]);
    feed.sources.telemetryFault = null;
    feed.sources.alertFault = null;
    states[source] = { state: "ok", since: 4_900, retryAt: null };
    await feed.clock.advance(3 * POLL_MS);
    assert.deepEqual(world.statuses(), [{ source, state: "ok", since: 4_900, retryAt: null }]);
  }
});

Deno.test("A feed that begins during an outage learns of it with its first read and wakes everybody", async () => {
  using world = statusFixture();
  world.states.telemetry = degraded;
  world.feed.sources.telemetryFault = outage;
  await world.feed.clock.advance(5);
  const told = world.feed.take().filter(({ statuses }) => statuses.length > 0);
  assert.deepEqual(told.map(({ cause, statuses }) => [cause, statuses]), [
    ["tick", [{ source: "telemetry", ...degraded }]],
  ]);
});

Deno.test("A lost read is no state while the guard says that the source is well", async () => {
  using world = statusFixture();
  world.feed.sources.telemetryFault = outage;
  world.feed.sources.alertFault = outage;
  await world.feed.clock.advance(2 * POLL_MS);
  assert.deepEqual(world.statuses(), []);
});

Deno.test("A tenant that can't be read for long is told so, and so is the log, while the guard says that the source is well", async () => {
  const hangs = ({ clock }: { readonly clock: FakeClock }) =>
    new Promise<never>((_, reject) => clock.setTimeout(() => reject(outage()), 2 * POLL_MS));
  const faults = [{ fault: outage, afterMs: 3 * POLL_MS }, { fault: hangs, afterMs: 3 * POLL_MS }];
  for (const { fault, afterMs } of faults) {
    using world = statusFixture();
    const { feed } = world;
    await feed.clock.advance(POLL_MS);
    assert.deepEqual(world.statuses(), []);
    const since = feed.clock.now() - POLL_MS / 2 + afterMs;
    feed.sources.telemetryFault = () => fault(feed);
    await feed.clock.advance(6 * POLL_MS);
    const [first, ...later] = world.statuses();
    const told = { source: "telemetry", state: "degraded", since } as const;
    assert.deepEqual(first, { ...told, retryAt: since + POLL_MS });
    assertPutOff(first, later);
    feed.sources.telemetryFault = null;
    await feed.clock.advance(6 * POLL_MS);
    const states = world.statuses().map(({ state }) => state);
    assert.deepEqual(states.filter((state) => state === "ok"), states.slice(-1));
    assert.deepEqual(
      feed.log.records.map(({ event, fields: { tenant, kind } }) => [event, tenant, kind]),
      [["read_failed", "acme", "unavailable"], ["read_recovered", "acme", undefined]],
    );
  }
});

Deno.test("A single read that hangs is told to the tenant, and not to the log, which the next outage would fill", async () => {
  using world = statusFixture();
  const { feed } = world;
  await feed.clock.advance(POLL_MS);
  feed.sources.telemetryFault = () => {
    feed.sources.telemetryFault = null;
    return new Promise<never>((_, reject) =>
      feed.clock.setTimeout(() => reject(outage()), 4 * POLL_MS)
    );
  };
  await feed.clock.advance(6 * POLL_MS);
  assert.deepEqual(world.statuses().map(({ state }) => state), ["degraded", "ok"]);
  assert.deepEqual(feed.log.records, []);
});

Deno.test("That nobody wanted a source for long does not make its first lost read a state", async () => {
  const feed = feedFixture();
  feed.connect();
  feed.follow(["dev-1"]);
  await feed.clock.advance(10 * POLL_MS);
  feed.sources.alertFault = outage;
  feed.followAlerts();
  await feed.clock.advance(2 * POLL_MS);
  assert.deepEqual(feed.take().flatMap(({ statuses }) => statuses), []);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A tenant that the source refuses is told so, since when and until when", async () => {
  for (const kind of ["denied", "rejected"] as const) {
    using world = statusFixture();
    const { feed } = world;
    await feed.clock.advance(POLL_MS);
    const since = feed.clock.now() + POLL_MS / 2;
    feed.sources.alertFault = () => new SourceError(kind, "Refused");
    await feed.clock.advance(5 * POLL_MS);
    const [first, ...later] = world.statuses();
    const told = { source: "alerts", state: "degraded", since } as const;
    assert.deepEqual(first, { ...told, retryAt: since + 0.75 * POLL_MS });
    assert.equal(later.length, 2);
    assertPutOff(first, later);
    feed.sources.alertFault = null;
    await feed.clock.advance(5 * POLL_MS);
    const [ok, ...more] = world.statuses();
    assert.equal(more.length, 0);
    assert.equal(ok?.state, "ok");
    assert.ok(ok.since > since);
    assert.equal(ok.retryAt, null);
  }
});

Deno.test("The next attempt is told in whole milliseconds", async () => {
  using world = statusFixture(() => 1 / 3);
  await world.feed.clock.advance(POLL_MS);
  world.feed.sources.alertFault = () => new SourceError("denied", "Refused");
  await world.feed.clock.advance(2 * POLL_MS);
  const [told] = world.statuses();
  assert.ok(Number.isInteger(told?.retryAt), String(told?.retryAt));
});

Deno.test("A tenant without a bucket is new, not degraded", async () => {
  using world = statusFixture();
  world.feed.sources.telemetryFault = () => new SourceError("missing", "No bucket");
  await world.feed.clock.advance(5 * POLL_MS);
  assert.deepEqual(world.statuses(), []);
});

Deno.test("A source that says that the bucket is missing has answered", async () => {
  using world = statusFixture();
  const { feed, states } = world;
  states.telemetry = degraded;
  feed.sources.telemetryFault = outage;
  await feed.clock.advance(POLL_MS);
  states.telemetry = { state: "ok", since: 4_900, retryAt: null };
  feed.sources.telemetryFault = () => new SourceError("missing", "No bucket");
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(world.statuses().map(({ state }) => state), ["degraded", "ok"]);
});

Deno.test("A status is told at once, whatever else its tick waits for", async () => {
  using world = statusFixture();
  const { feed, states } = world;
  await feed.clock.advance(POLL_MS);
  feed.take();
  const release = Promise.withResolvers<void>();
  feed.sources.hold = release.promise;
  states.alerts = degraded;
  feed.sources.alertFault = outage;
  await feed.clock.advance(POLL_MS / 2);
  assert.deepEqual(world.statuses(), [{ source: "alerts", ...degraded }]);
  release.resolve();
  await feed.clock.advance(0);
});

Deno.test("Who comes to a feed that outlived its last connection is told what is degraded now", async () => {
  using world = statusFixture();
  const { feed, states } = world;
  states.telemetry = degraded;
  feed.sources.telemetryFault = outage;
  await feed.clock.advance(POLL_MS);
  feed.unfollow(["dev-1"]);
  feed.disconnect();
  await feed.clock.advance(100);
  world.statuses();
  feed.connect();
  await feed.clock.advance(5);
  assert.deepEqual(world.statuses(), [{ source: "telemetry", ...degraded }]);
  feed.connect();
  await feed.clock.advance(5);
  assert.deepEqual(world.statuses(), [], "the second one's group knows it");
});
