// Listeners to alerts and to the fleet: one subscription each, resumed, and told what is new to each listener.
import assert from "node:assert/strict";
import type { Alert, AlertChanges } from "../../src/client/pulsewire_client.ts";
import { alertOf } from "../support/samples.ts";
import { at, clientWorld, type World } from "./client_fixture.ts";

const ids = (alerts: readonly Alert[]) => alerts.map((alert) => alert.alert_id);

function recorder() {
  const told: unknown[] = [];
  const listener = (open: readonly Alert[], change: AlertChanges | null) =>
    void told.push(
      change === null
        ? { open: ids(open) }
        : { open: ids(open), opened: ids(change.opened), closed: [...change.closed] },
    );
  return { told, listener };
}

function answered(world: World, channel: "alerts" | "fleet", resume?: object) {
  const { id } = world.socket().last("subscribe", channel);
  world.socket().say({
    type: "subscribed",
    channel,
    ...(resume === undefined ? {} : { resume }),
    id,
  });
}

Deno.test("listeners to alerts share one subscription, and a later one is told the list at once", async () => {
  using world = clientWorld();
  const one = recorder();
  const other = recorder();
  const stopOne = world.client.alerts(one.listener);
  const socket = await world.greet();
  const { id: _, ...asked } = socket.last("subscribe", "alerts");
  assert.deepEqual(asked, { action: "subscribe", type: "alerts", mode: "changes" });
  answered(world, "alerts");
  socket.batch(1, [{ type: "alerts", alerts: [alertOf(2), alertOf(1)] }]);
  const stopOther = world.client.alerts(other.listener);
  await world.settle();
  const changes = { type: "alert_changes", opened: [alertOf(3)], updated: [], closed: [1] };
  socket.batch(2, [changes]);
  assert.deepEqual(other.told, [
    { open: [2, 1] },
    { open: [3, 2], opened: [3], closed: [1] },
  ]);
  assert.deepEqual(one.told, other.told);
  assert.equal(socket.asked("subscribe", "alerts").length, 1);
  stopOne();
  await world.settle();
  assert.equal(socket.asked("unsubscribe", "alerts").length, 0);
  stopOther();
  await world.settle();
  assert.equal(socket.asked("unsubscribe", "alerts").length, 1);
});

Deno.test("alerts are resumed from what was told last, and what came and went meanwhile is told once", async () => {
  using world = clientWorld();
  const { told, listener } = recorder();
  world.client.alerts(listener);
  const first = await world.greet();
  answered(world, "alerts");
  first.batch(100, [{ type: "alerts", alerts: [alertOf(2), alertOf(1)] }]);
  first.batch(110, [{ type: "alert_changes", opened: [], updated: [], closed: [1] }]);
  first.end(1006);
  await world.clock.advance(1_000);
  const second = await world.greet();
  assert.equal(second.last("subscribe", "alerts").since, at(100));
  answered(world, "alerts", { from: at(100), complete: true });
  second.batch(200, [{ type: "alerts", alerts: [alertOf(5)] }]);
  const passed = { type: "alert_changes", opened: [alertOf(4)], updated: [], closed: [4, 2, 1] };
  second.batch(200, [passed]);
  second.batch(205, [{ ...passed, closed: [4] }]);
  assert.deepEqual(told, [
    { open: [2, 1] },
    { open: [2], opened: [], closed: [1] },
    { open: [5], opened: [5], closed: [2] },
    { open: [5], opened: [4], closed: [4] },
  ]);
});

Deno.test("alerts that could not all be had are a gap", async () => {
  using world = clientWorld();
  world.client.alerts(() => {});
  await world.greet();
  answered(world, "alerts", { from: at(50), complete: false, reason: "too_many" });
  assert.deepEqual(world.gaps, [
    { channel: "alerts", device_id: null, from: at(50), reason: "too_many" },
  ]);
});

Deno.test("alerts of some devices are asked for as such, and of all once one wants all", async () => {
  using world = clientWorld();
  const some = recorder();
  const others = recorder();
  const all = recorder();
  const of = (alertId: number, deviceId: string | null) =>
    alertOf(alertId, { device_id: deviceId });
  world.client.alerts(some.listener, { deviceIds: ["b", "a"] });
  const socket = await world.greet();
  assert.deepEqual(socket.last("subscribe", "alerts").device_ids, ["a", "b"]);
  answered(world, "alerts");
  socket.batch(1, [{ type: "alerts", alerts: [of(1, "a")] }]);
  world.client.alerts(others.listener, { deviceIds: ["c"] });
  world.client.alerts(all.listener);
  await world.settle();
  assert.equal(socket.last("subscribe", "alerts").device_ids, undefined);
  assert.deepEqual([others.told, all.told], [[], []]);
  answered(world, "alerts");
  socket.batch(2, [{ type: "alerts", alerts: [of(4, null), of(3, "c"), of(2, "b"), of(1, "a")] }]);
  socket.batch(3, [{ type: "alert_changes", opened: [of(5, "c")], updated: [], closed: [1] }]);
  assert.deepEqual(some.told, [
    { open: [1] },
    { open: [2, 1], opened: [2], closed: [] },
    { open: [2], opened: [], closed: [1] },
  ]);
  assert.deepEqual(others.told, [{ open: [3] }, { open: [5, 3], opened: [5], closed: [] }]);
  assert.deepEqual(all.told[0], { open: [4, 3, 2, 1] });
});

Deno.test("an alert that comes to another device is closed for those of the first and opened for those of the other", async () => {
  using world = clientWorld();
  const one = recorder();
  const other = recorder();
  const both = recorder();
  const of = (deviceId: string) => alertOf(7, { device_id: deviceId });
  world.client.alerts(one.listener, { deviceIds: ["a"] });
  world.client.alerts(other.listener, { deviceIds: ["b"] });
  world.client.alerts(both.listener, { deviceIds: ["a", "b"] });
  const socket = await world.greet();
  answered(world, "alerts");
  socket.batch(1, [{ type: "alerts", alerts: [of("a")] }]);
  const moved = (deviceId: string) =>
    socket.batch(2, [{ type: "alert_changes", opened: [], updated: [of(deviceId)], closed: [] }]);
  moved("b");
  moved("a");
  // The last one of a list that was cut.
  socket.batch(3, [{ type: "alerts", alerts: [of("b")], truncated: true, total: 2 }]);
  const here = { open: [7], opened: [7], closed: [] };
  const gone = { open: [], opened: [], closed: [7] };
  assert.deepEqual(one.told, [{ open: [7] }, gone, here, gone]);
  assert.deepEqual(other.told, [{ open: [] }, here, gone, here]);
  const updated = { open: [7], opened: [], closed: [] };
  assert.deepEqual(both.told, [{ open: [7] }, updated, updated, updated]);
});

Deno.test("changes are not told to who has no list to change yet", async () => {
  using world = clientWorld();
  const all = recorder();
  const later = recorder();
  world.client.alerts(() => {}, { deviceIds: ["dev-1"] });
  const socket = await world.greet();
  answered(world, "alerts");
  socket.batch(1, [{ type: "alerts", alerts: [alertOf(1)] }]);
  world.client.alerts(all.listener);
  await world.settle();
  socket.batch(2, [{ type: "alert_changes", opened: [alertOf(2)], updated: [], closed: [] }]);
  world.client.alerts(later.listener);
  await world.settle();
  assert.deepEqual([all.told, later.told], [[], []]);
  answered(world, "alerts");
  socket.batch(3, [{ type: "alerts", alerts: [alertOf(2), alertOf(1)] }]);
  assert.deepEqual([all.told, later.told], [[{ open: [2, 1] }], [{ open: [2, 1] }]]);
});

Deno.test("alerts that the service could not give are asked for again after a while", async () => {
  using world = clientWorld();
  world.client.alerts(() => {});
  world.client.fleet(() => {});
  const socket = await world.greet();
  for (const channel of ["alerts", "fleet"]) {
    const { id } = socket.last("subscribe", channel);
    socket.say({ type: "error", code: "internal", message: "Oh", id });
  }
  assert.deepEqual(world.errors.map(({ code }) => code), ["internal", "internal"]);
  await world.clock.advance(4_999);
  assert.equal(socket.asked("subscribe").length, 2);
  await world.clock.advance(1);
  assert.equal(socket.asked("subscribe", "alerts").length, 2);
  assert.equal(socket.asked("subscribe", "fleet").length, 2);
});

Deno.test("the fleet is one subscription, and what an earlier connection said is not told as if it were now", async () => {
  using world = clientWorld();
  const told: unknown[] = [];
  const stop = world.client.fleet(({ devices }) => told.push(devices?.total ?? null));
  const first = await world.greet();
  answered(world, "fleet");
  const fleet = (total: number) => ({
    type: "fleet",
    devices: { total, online: total, stale: 0 },
    alerts: null,
  });
  first.batch(1, [fleet(3)]);
  const stopOther = world.client.fleet(({ devices }) => told.push(`other ${devices?.total}`));
  await world.settle();
  first.end(1006);
  const stopLate = world.client.fleet(({ devices }) => told.push(`late ${devices?.total}`));
  await world.clock.advance(1_000);
  const second = await world.greet();
  assert.deepEqual(told, [3, "other 3"]);
  stopLate();
  second.batch(2, [fleet(4)]);
  assert.deepEqual(told, [3, "other 3", 4, "other 4"]);
  stop();
  stopOther();
  await world.settle();
  assert.equal(second.asked("unsubscribe", "fleet").length, 1);
});

Deno.test("a name that is none is refused where it is written, and spoils nobody else's alerts", async () => {
  using world = clientWorld();
  const listen = (deviceIds: readonly string[]) => () =>
    world.client.alerts(() => {}, { deviceIds });
  for (const wrong of ["", "*", "a\u0007", "\ud800", "ü".repeat(65)]) {
    assert.throws(listen(["d", wrong]), { code: "invalid_options" }, wrong);
  }
  assert.throws(listen([]), { code: "invalid_options" });
  listen(["d", "ü".repeat(64)])();
  const socket = await world.greet();
  assert.deepEqual(socket.last("subscribe", "alerts").device_ids, ["d", "ü".repeat(64)]);
});
