// What a feed reads of the alerts when somebody needs more than the core list, and what it makes of it.
import assert from "node:assert/strict";
import type { FeedRegistryOptions } from "../../src/feed/feed_registry.ts";
import { MAX_CHANGED_ALERTS } from "../../src/feed/alert_states.ts";
import type { AlertState } from "../../src/feed/seam.ts";
import { instantOfMs } from "../../src/protocol/nano_instant.ts";
import { outage } from "../support/fake_sources.ts";
import { alertOf } from "../support/samples.ts";
import { feedFixture, LATE_MS, PHASE_MS, POLL_MS } from "./feed_fixture.ts";

function alertFixture(overrides: Partial<FeedRegistryOptions> = {}) {
  const feed = feedFixture(() => overrides);
  feed.connect();
  const states = (): readonly AlertState[] =>
    feed.take().flatMap(({ alerts }) => alerts === null ? [] : [alerts]);
  return {
    feed,
    states,
    /** Numbers and ids of what changed since the last call. */
    changes: () =>
      states().map(({ whole }) => [
        whole?.number,
        whole?.changes?.opened.map(({ alert_id }) => alert_id),
        whole?.changes?.closed,
      ]),
    followChanges: (count = 1) =>
      feed.feeds.change({
        tenantId: "acme",
        alertChanges: count,
        first: { devices: [], alerts: count > 0 },
      }),
    [Symbol.dispose]: () => feed.feeds[Symbol.dispose](),
  };
}

/** An alert that was created now. */
function created(now: number, alertId: number, closed_at: string | null = null) {
  const created_at = new Date(now).toISOString().replace("Z", "000Z");
  return { ...alertOf(alertId, { created_at }), closed_at };
}

Deno.test("Who follows the core list alone costs the read that it always was", async () => {
  using world = alertFixture();
  world.feed.followAlerts();
  await world.feed.clock.advance(2 * POLL_MS);
  assert.equal(world.feed.sources.alertReads.length, 3);
  assert.deepEqual(world.feed.sources.alertStateReads, []);
  assert.deepEqual(world.states().map(({ whole }) => whole), [null, null, null]);
});

Deno.test("Who follows changes is served by one read, which is the core list's too", async () => {
  using world = alertFixture();
  const { feed } = world;
  feed.sources.setAlerts("acme", [alertOf(1)]);
  feed.followAlerts();
  world.followChanges();
  world.followChanges();
  await feed.clock.advance(PHASE_MS);
  feed.forget();
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(feed.sources.alertReads, []);
  assert.deepEqual(feed.sources.alertStateReads, [{
    tenantId: "acme",
    limit: 1_000,
    changedSince: instantOfMs(feed.clock.now() - POLL_MS - LATE_MS),
    changedLimit: MAX_CHANGED_ALERTS,
    isCounted: true,
  }]);
  const [state] = world.states();
  assert.deepEqual(state?.frame.message, { type: "alerts", alerts: [alertOf(1)] });
  assert.deepEqual(state?.whole, { open: [alertOf(1)], total: 1, number: 3, changes: null });
});

Deno.test("Changes are numbered without a gap, and a failed read is part of the next one's", async () => {
  using world = alertFixture();
  const { feed } = world;
  world.followChanges();
  await feed.clock.advance(PHASE_MS);
  assert.deepEqual(world.changes(), [[1, undefined, undefined], [2, undefined, undefined]]);
  feed.sources.alertFault = outage;
  const passed = created(feed.clock.now(), 1, "2026-11-18T11:00:01.000000Z");
  await feed.clock.advance(3 * POLL_MS);
  const open = created(feed.clock.now(), 2);
  feed.sources.setAlerts("acme", [open, passed]);
  assert.deepEqual(world.changes(), []);
  feed.sources.alertFault = null;
  await feed.clock.advance(2 * POLL_MS);
  assert.deepEqual(world.changes(), [[3, [2, 1], [1]], [4, undefined, undefined]]);
  feed.sources.setAlerts("acme", [{ ...open, closed_at: "2026-11-18T11:00:05.000000Z" }]);
  await feed.clock.advance(2 * POLL_MS);
  assert.deepEqual(world.changes(), [[5, [], [2]], [6, undefined, undefined]]);
});

Deno.test("An alert that opened and closed before anybody followed is not told", async () => {
  using world = alertFixture();
  const { feed } = world;
  const now = feed.clock.now();
  feed.sources.setAlerts("acme", [created(now - 2_000, 1, "2026-11-18T10:59:59.000000Z")]);
  world.followChanges();
  await feed.clock.advance(3 * POLL_MS);
  assert.deepEqual(world.changes().flatMap(([, opened]) => opened ?? []), []);
});

Deno.test("A list longer than the limit is cut and counted; the core list stays the first hundred", async () => {
  using world = alertFixture({ maxOpenAlerts: 150 });
  const { feed } = world;
  const alerts = Array.from({ length: 200 }, (_, index) => alertOf(200 - index));
  feed.sources.setAlerts("acme", alerts);
  world.followChanges();
  await feed.clock.advance(5);
  const [state] = world.states();
  assert.deepEqual(state?.whole?.open, alerts.slice(0, 150));
  assert.equal(state?.whole?.total, 200);
  assert.deepEqual(state?.frame.message, { type: "alerts", alerts: alerts.slice(0, 100) });
});

Deno.test("More alerts may come and go, and close beyond the list's end, than the list holds: all are told", async () => {
  using world = alertFixture({ maxOpenAlerts: 3 });
  const { feed } = world;
  const open = Array.from({ length: 9 }, (_, nth) => created(feed.clock.now() - 60_000, 1 + nth));
  feed.sources.setAlerts("acme", open.toReversed());
  world.followChanges();
  await feed.clock.advance(PHASE_MS);
  world.changes();
  // Three newer ones push those that are known off the list's end.
  const newer = Array.from({ length: 3 }, (_, nth) => created(feed.clock.now(), 10 + nth));
  feed.sources.setAlerts("acme", [...newer.toReversed(), ...open.toReversed()]);
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(world.changes().map(([, opened, closed]) => [opened, closed]), [[
    [12, 11, 10],
    [],
  ]]);
  const closed_at = new Date(feed.clock.now()).toISOString().replace("Z", "000Z");
  const passed = Array.from(
    { length: 9 },
    (_, nth) => ({ ...created(feed.clock.now(), 20 + nth), closed_at }),
  );
  const closed = open.map((alert) => ({ ...alert, closed_at }));
  feed.sources.setAlerts("acme", [...passed.toReversed(), ...newer.toReversed(), ...closed]);
  await feed.clock.advance(POLL_MS);
  const [changes] = world.states().map(({ whole }) => whole?.changes);
  const ids = (alerts: readonly { readonly alert_id: number }[]) =>
    alerts.map(({ alert_id }) => alert_id);
  assert.deepEqual(ids(changes?.opened ?? []).toSorted((a, b) => a - b), ids(passed));
  assert.deepEqual(
    changes?.closed.toSorted((a, b) => a - b),
    [7, 8, 9, ...ids(passed)],
    "those that were told to be open, and those that came and went",
  );
});

Deno.test("More changes than one read brings are said in the log, once for as long as it lasts", async () => {
  using world = alertFixture();
  const { feed } = world;
  world.followChanges();
  await feed.clock.advance(PHASE_MS);
  const closed_at = new Date(feed.clock.now()).toISOString().replace("Z", "000Z");
  const passed = Array.from(
    { length: MAX_CHANGED_ALERTS + 1 },
    (_, nth) => ({ ...created(feed.clock.now(), 1 + nth), closed_at }),
  );
  feed.sources.setAlerts("acme", passed);
  const warnings = () => feed.log.of("alert_changes_truncated").map(({ fields }) => fields);
  await feed.clock.advance(2 * POLL_MS);
  assert.deepEqual(warnings(), [{ tenant: "acme", limit: MAX_CHANGED_ALERTS }]);
  await feed.clock.advance(LATE_MS + 2 * POLL_MS);
  assert.equal(warnings().length, 1);
});

Deno.test("A limit below the core list's does not cut the core list", async () => {
  using world = alertFixture({ maxOpenAlerts: 2 });
  const { feed } = world;
  const alerts = Array.from({ length: 5 }, (_, index) => alertOf(5 - index));
  feed.sources.setAlerts("acme", alerts);
  feed.followAlerts();
  world.followChanges();
  await feed.clock.advance(5);
  const [state] = world.states().slice(-1);
  assert.deepEqual(state?.frame.message, { type: "alerts", alerts });
  assert.deepEqual(state?.whole?.open, alerts.slice(0, 2));
});

Deno.test("A version rises when the list or a count changed and only then, whoever follows", async () => {
  using world = alertFixture({ maxOpenAlerts: 1, maxAlerts: 1 });
  const { feed } = world;
  const version = async (): Promise<number | undefined> => {
    await feed.clock.advance(POLL_MS);
    return world.states().at(-1)?.version;
  };
  feed.sources.setAlerts("acme", [alertOf(2), alertOf(1)]);
  feed.followAlerts();
  assert.equal(await version(), 1);
  world.followChanges();
  assert.equal(await version(), 1, "the list is the same");
  feed.sources.setAlerts("acme", [alertOf(2)]);
  assert.equal(await version(), 2, "the total is another");
  feed.sources.setAlerts("acme", [alertOf(2, { summary: "Hot" })]);
  assert.equal(await version(), 3);
  assert.equal(await version(), 3);
  world.followChanges(-1);
  assert.equal(await version(), 3);
});

Deno.test("A list that did not change keeps its message", async () => {
  using world = alertFixture();
  const { feed } = world;
  feed.sources.setAlerts("acme", [alertOf(1)]);
  feed.followAlerts();
  await feed.clock.advance(2 * POLL_MS);
  const frames = new Set(world.states().map(({ frame }) => frame));
  assert.equal(frames.size, 1);
});

Deno.test("Who needs the whole list while the core list is read gets a read of its own at once", async () => {
  using world = alertFixture();
  const { feed } = world;
  const release = Promise.withResolvers<void>();
  feed.sources.holdAlerts = release.promise;
  feed.followAlerts();
  await feed.clock.advance(5);
  feed.sources.holdAlerts = null;
  world.followChanges();
  await feed.clock.advance(5);
  assert.equal(world.states().at(-1)?.whole?.number, 1);
  release.resolve();
  await feed.clock.advance(0);
  assert.deepEqual(world.states(), [], "the older answer is dropped");
});

Deno.test("A late answer never takes changes back", async () => {
  using world = alertFixture();
  const { feed } = world;
  world.followChanges();
  await feed.clock.advance(5);
  const answer = Promise.withResolvers<void>();
  const { readState } = feed.sources.alerts;
  let isHeld = true;
  feed.sources.alerts.readState = async (query) => {
    const state = await readState(query);
    if (isHeld) await answer.promise;
    return state;
  };
  await feed.clock.advance(PHASE_MS);
  isHeld = false;
  feed.sources.setAlerts("acme", [created(feed.clock.now(), 1)]);
  feed.feeds.change({ tenantId: "acme", first: { devices: [], alerts: true } });
  await feed.clock.advance(5);
  assert.deepEqual(world.changes(), [[1, undefined, undefined], [2, [1], []]]);
  answer.resolve();
  await feed.clock.advance(0);
  assert.deepEqual(world.changes(), [], "the tick began before the alert was there");
  await feed.clock.advance(2 * POLL_MS);
  assert.deepEqual(world.changes().flatMap(([, opened]) => opened ?? []), []);
});

Deno.test("Changes begin anew when nobody followed them for a while", async () => {
  using world = alertFixture();
  const { feed } = world;
  feed.followAlerts();
  world.followChanges();
  await feed.clock.advance(2 * POLL_MS);
  world.followChanges(-1);
  await feed.clock.advance(POLL_MS);
  feed.sources.setAlerts("acme", [created(feed.clock.now(), 1)]);
  world.states();
  world.followChanges();
  await feed.clock.advance(5);
  assert.deepEqual(world.changes(), [[1, undefined, undefined]]);
});

Deno.test("A state that waits for the devices of its tick is not overtaken by the changes after it", async () => {
  const feed = feedFixture();
  feed.connect();
  const release = Promise.withResolvers<void>();
  feed.sources.hold = release.promise;
  feed.feeds.change({
    tenantId: "acme",
    devices: [{ deviceId: "dev-1", latest: 1 }],
    alertChanges: 1,
  });
  await feed.clock.advance(PHASE_MS);
  assert.deepEqual(feed.take(), [], "within the grace");
  feed.sources.setAlerts("acme", [created(feed.clock.now(), 1)]);
  feed.feeds.change({ tenantId: "acme", first: { devices: [], alerts: true } });
  await feed.clock.advance(5);
  const numbers = feed.take().map(({ alerts }) => alerts?.whole?.number);
  assert.deepEqual(numbers, [1, 2]);
  release.resolve();
  await feed.clock.advance(60);
  assert.deepEqual(feed.take().map(({ alerts }) => alerts), [null]);
  feed.feeds[Symbol.dispose]();
});
