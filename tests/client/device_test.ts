// Listeners to devices: one subscription for all of them, and each given what it asked for, once and in order.
import assert from "node:assert/strict";
import type { DeviceSample } from "../../src/client/pulsewire_client.ts";
import { at, clientWorld, sample, telemetry } from "./client_fixture.ts";

/** What a listener was given, as `h` or `l` with the metric `n`. */
function recorder() {
  const given: string[] = [];
  const listener = ({ origin, metrics }: DeviceSample) =>
    void given.push(`${origin[0]}${metrics.n}`);
  return { given, listener };
}

Deno.test("what is asked for in one go is one message a kind", async () => {
  using world = clientWorld();
  for (let n = 0; n < 20; n++) world.client.device(`d-${n}`, () => {});
  for (let n = 0; n < 3; n++) world.client.device(`e-${n}`, { mode: "every" }, () => {});
  const socket = await world.greet();
  const asked = socket.asked("subscribe");
  assert.deepEqual(asked.map(({ id: _, ...message }) => message), [
    {
      action: "subscribe",
      type: "device",
      device_ids: Array.from({ length: 20 }, (_, n) => `d-${n}`),
      changes_only: true,
    },
    { action: "subscribe", type: "device", device_ids: ["e-0", "e-1", "e-2"], mode: "every" },
  ]);
});

Deno.test("listeners with equal needs share one subscription, which ends with the last of them", async () => {
  using world = clientWorld();
  const one = recorder();
  const other = recorder();
  const stopOne = world.client.device("d", one.listener);
  const socket = await world.greet();
  socket.subscribed();
  socket.batch(1, [telemetry("d", sample(1))]);
  const stopOther = world.client.device("d", other.listener);
  await world.settle();
  assert.deepEqual(other.given, ["l1"], "the newest sample is known already");
  socket.batch(2, [telemetry("d", sample(2))]);
  stopOne();
  stopOne();
  socket.batch(3, [telemetry("d", sample(3))]);
  await world.settle();
  assert.equal(socket.asked("subscribe").length, 1);
  assert.equal(socket.asked("unsubscribe").length, 0);
  stopOther();
  await world.settle();
  const { id: _, ...left } = socket.last("unsubscribe");
  assert.deepEqual(left, { action: "unsubscribe", type: "device", device_id: "d" });
  socket.batch(4, [telemetry("d", sample(4))]);
  assert.deepEqual([one.given, other.given], [["l1", "l2"], ["l1", "l2", "l3"]]);
});

Deno.test("a listener that is back before anybody noticed costs no message", async () => {
  using world = clientWorld();
  const stop = world.client.device("d", () => {});
  const socket = await world.greet();
  socket.subscribed();
  stop();
  world.client.device("d", () => {});
  await world.settle();
  assert.equal(socket.asked("subscribe").length, 1);
  assert.equal(socket.asked("unsubscribe").length, 0);
});

Deno.test("one function that listens twice is two listeners", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  const stop = world.client.device("d", listener);
  world.client.device("d", listener);
  const socket = await world.greet();
  socket.subscribed();
  socket.batch(1, [telemetry("d", sample(1))]);
  stop();
  socket.batch(2, [telemetry("d", sample(2))]);
  assert.deepEqual(given, ["l1", "l1", "l2"]);
});

Deno.test("a sample that did not change is given once, and at each read to who wants repeats", async () => {
  using world = clientWorld();
  const changes = recorder();
  const repeats = recorder();
  world.client.device("d", changes.listener);
  world.client.device("d", { changesOnly: false }, repeats.listener);
  const socket = await world.greet();
  assert.equal(socket.last("subscribe").changes_only, undefined);
  socket.subscribed();
  for (const n of [1, 1, 2, 2]) socket.batch(n, [telemetry("d", sample(n))]);
  // The same instant with another value is a change.
  socket.batch(3, [telemetry("d", sample(2, { n: 20 }))]);
  assert.deepEqual(changes.given, ["l1", "l2", "l20"]);
  assert.deepEqual(repeats.given, ["l1", "l1", "l2", "l2", "l20"]);
});

Deno.test("listeners with other metrics share their union, and each is given its own", async () => {
  using world = clientWorld();
  const given: string[] = [];
  const listen = (name: string, metrics: string[]) =>
    world.client.device(
      "d",
      { metrics },
      (sample) => given.push(`${name} ${JSON.stringify(sample.metrics)}`),
    );
  listen("a", ["a"]);
  listen("ab", ["b", "a"]);
  const socket = await world.greet();
  assert.deepEqual(socket.last("subscribe").metrics, ["a", "b"]);
  socket.subscribed();
  socket.batch(1, [telemetry("d", sample(1, { a: 1, b: 2 }))]);
  socket.batch(2, [telemetry("d", sample(2, { b: 3 }))]);
  assert.deepEqual(given, ['a {"a":1}', 'ab {"a":1,"b":2}', 'ab {"b":3}']);
});

Deno.test("every serves a listener to the latest, which is given the newest of each frame", async () => {
  using world = clientWorld();
  const every = recorder();
  const latest = recorder();
  world.client.device("d", { mode: "every" }, every.listener);
  world.client.device("d", latest.listener);
  const socket = await world.greet();
  assert.equal(socket.last("subscribe").mode, "every");
  socket.subscribed();
  socket.batch(3, [1, 2, 3].map((n) => telemetry("d", sample(n))));
  socket.batch(5, [5, 4].map((n) => telemetry("d", sample(n))));
  socket.batch(6, [telemetry("d", sample(2, { n: 2.5 }))]);
  assert.deepEqual(every.given, ["l1", "l2", "l3", "l5", "l4"]);
  assert.deepEqual(latest.given, ["l3", "l5"]);
});

Deno.test("a late sample that comes alone is not taken for the latest, also not on another socket", async () => {
  using world = clientWorld();
  const latest = recorder();
  world.client.device("d", { mode: "every" }, () => {});
  world.client.device("d", latest.listener);
  const first = await world.greet();
  first.subscribed();
  first.batch(100, [telemetry("d", sample(100))]);
  first.end(1006);
  await world.clock.advance(1_000);
  const second = await world.greet();
  second.subscribed({ d: { from: at(90), complete: true } });
  second.page("d", [], { second: 101 });
  second.batch(102, [telemetry("d", sample(97))]);
  second.batch(103, [telemetry("d", sample(103))]);
  assert.deepEqual(latest.given, ["l100", "l103"]);
});

Deno.test("history comes first and in order, then what is live, and who asked is told that it is caught up", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  world.client.device("d", {
    historySeconds: 900,
    onCaughtUp: () => given.push("caught up"),
  }, listener);
  const socket = await world.greet();
  assert.equal(socket.last("subscribe").history_seconds, 900);
  socket.subscribed({ d: { from: at(-900), complete: true } });
  socket.page("d", [sample(-800), sample(-700)], { done: false });
  socket.page("d", [sample(-600)]);
  socket.batch(1, [telemetry("d", sample(1))]);
  assert.deepEqual(given, ["h-800", "h-700", "h-600", "caught up", "l1"]);
});

Deno.test("a listener that wants history beside a live one is served by one subscribe without gap or repeat", async () => {
  using world = clientWorld();
  const every = recorder();
  const chart = recorder();
  world.client.device("d", { mode: "every" }, every.listener);
  const socket = await world.greet();
  socket.subscribed();
  socket.batch(100, [99, 100].map((n) => telemetry("d", sample(n))));
  // The service's clock is a hundred seconds ahead of this machine's.
  world.client.device("d", { historySeconds: 60 }, chart.listener);
  await world.settle();
  const again = socket.last("subscribe");
  assert.equal(again.mode, "every");
  assert.deepEqual(again.since, { d: at(40) });
  // What still comes of the old subscription comes again in the history.
  socket.batch(101, [telemetry("d", sample(101))]);
  assert.deepEqual(every.given, ["l99", "l100"]);
  socket.subscribed({ d: { from: at(40), complete: true } });
  socket.page("d", [41, 99, 100, 101, 102].map((n) => sample(n)));
  socket.batch(103, [telemetry("d", sample(103))]);
  assert.deepEqual(every.given, ["l99", "l100", "h101", "h102", "l103"]);
  assert.deepEqual(chart.given, ["h41", "h99", "h100", "h101", "h102", "l103"]);
});

Deno.test("who wants only the newest is given it at once, and nothing of the history of others", async () => {
  using world = clientWorld();
  const newest = recorder();
  const chart = recorder();
  world.client.device("d", () => {});
  const socket = await world.greet();
  socket.subscribed();
  socket.batch(5, [telemetry("d", sample(5))]);
  world.client.device("d", newest.listener);
  world.client.device("d", { historySeconds: 60 }, chart.listener);
  await world.settle();
  socket.subscribed({ d: { from: at(-55), complete: true } });
  assert.deepEqual(newest.given, ["l5"]);
  socket.page("d", [sample(-50), sample(5)], { second: 6 });
  socket.batch(7, [telemetry("d", sample(7))]);
  assert.deepEqual(newest.given, ["l5", "l7"]);
  assert.deepEqual(chart.given, ["h-50", "h5", "l7"]);
});

Deno.test("a history that is on its way is not begun anew for another one, which comes after it", async () => {
  using world = clientWorld();
  const other = recorder();
  world.client.device("d", { historySeconds: 60 }, () => {});
  const socket = await world.greet();
  socket.subscribed({ d: { from: at(-60), complete: true } });
  world.client.device("d", { historySeconds: 600 }, other.listener);
  await world.settle();
  assert.equal(socket.asked("subscribe").length, 1);
  socket.page("d", [sample(-50)]);
  await world.settle();
  assert.equal(socket.asked("subscribe").length, 2);
  socket.subscribed({ d: { from: at(-600), complete: true } });
  socket.page("d", [sample(-500), sample(-50)]);
  assert.deepEqual(other.given, ["h-500", "h-50"]);
});

Deno.test("of two histories the longer one serves both, and each is given its own", async () => {
  using world = clientWorld();
  const short = recorder();
  const long = recorder();
  world.client.device("d", { historySeconds: 60 }, short.listener);
  world.client.device("d", { historySeconds: 600 }, long.listener);
  const socket = await world.greet();
  assert.equal(socket.last("subscribe").history_seconds, 600);
  socket.subscribed({ d: { from: at(-600), complete: true } });
  socket.page("d", [-500, -61, -60, -59, -1].map((n) => sample(n)));
  assert.deepEqual(short.given, ["h-59", "h-1"]);
  assert.deepEqual(long.given, ["h-500", "h-61", "h-60", "h-59", "h-1"]);
});

Deno.test("histories in windows of different lengths come one after another, and nobody is given another's", async () => {
  using world = clientWorld();
  const raw = recorder();
  const minutes = recorder();
  const hours = recorder();
  world.client.device("d", { historySeconds: 60 }, raw.listener);
  world.client.device("d", { historySeconds: 900, resolutionSeconds: 60 }, minutes.listener);
  world.client.device("d", { historySeconds: 7_200, resolutionSeconds: 3_600 }, hours.listener);
  const socket = await world.greet();
  const passes: (readonly [unknown, unknown])[] = [];
  for (const n of [-780, -3_600, -30]) {
    const { history_seconds, resolution_seconds, since } = socket.last("subscribe");
    passes.push([resolution_seconds, history_seconds ?? (since as { d: string }).d]);
    socket.subscribed({ d: { from: at(-7_200), complete: true } });
    socket.page("d", [sample(n)]);
    await world.settle();
  }
  assert.deepEqual(passes.map(([resolution]) => resolution), [60, 3_600, undefined]);
  assert.equal(passes[0]?.[1], 900);
  assert.equal(socket.asked("subscribe").length, 3);
  socket.batch(1, [telemetry("d", sample(1))]);
  assert.deepEqual(raw.given, ["h-30", "l1"]);
  assert.deepEqual(minutes.given.filter((one) => one !== "h-30"), ["h-780", "l1"]);
  assert.deepEqual(hours.given.filter((one) => one !== "h-30"), ["h-3600", "l1"]);
});

Deno.test("the window in which a history begins is given, though it begins before", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  world.client.device("d", { since: at(-590), resolutionSeconds: 60 }, listener);
  const socket = await world.greet();
  socket.subscribed({ d: { from: at(-590), complete: true } });
  socket.page("d", [-660, -600, -540].map((n) => sample(n)));
  assert.deepEqual(given, ["h-600", "h-540"]);
});

Deno.test("after a lost connection every is resumed from its cursor, with no gap and no repeat", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  world.client.device("d", { mode: "every" }, listener);
  const first = await world.greet();
  first.subscribed();
  first.batch(100, [telemetry("d", sample(95)), telemetry("d", sample(100))]);
  first.end(1006);
  await world.clock.advance(1_000);
  const second = await world.greet();
  assert.deepEqual(second.last("subscribe").since, { d: at(90) });
  second.subscribed({ d: { from: at(90), complete: true } });
  // 97 was stored late while nobody listened.
  second.page("d", [95, 97, 100, 105].map((n) => sample(n)), { second: 110 });
  second.batch(111, [telemetry("d", sample(111))]);
  assert.deepEqual(given, ["l95", "l100", "h97", "h105", "l111"]);
  assert.deepEqual(world.gaps, []);
});

Deno.test("a history that was cut off in the middle goes on where it was", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  world.client.device("d", { mode: "every", historySeconds: 900 }, listener);
  const first = await world.greet();
  first.subscribed({ d: { from: at(-900), complete: true } });
  first.page("d", [sample(-800), sample(-700)], { done: false });
  first.end(1006);
  await world.clock.advance(1_000);
  const second = await world.greet();
  assert.deepEqual(second.last("subscribe").since, { d: at(-710) });
  second.subscribed({ d: { from: at(-710), complete: true } });
  second.page("d", [-705, -700, -600].map((n) => sample(n)));
  assert.deepEqual(given, ["h-800", "h-700", "h-705", "h-600"]);
});

Deno.test("a history of which nothing came is asked for again as long as it was meant to be", async () => {
  using world = clientWorld();
  world.client.device("d", { historySeconds: 900 }, () => {});
  world.client.device("e", { mode: "every" }, () => {});
  const first = await world.greet();
  const [ofD, ofE] = first.asked("subscribe");
  first.say({ type: "subscribed", channel: "device", device_id: "e", id: ofE?.id });
  assert.equal(ofD?.history_seconds, 900);
  first.end(1006);
  await world.clock.advance(1_000);
  await world.clock.sleep(60_000);
  world.socket().end(1006);
  await world.clock.advance(2_000);
  const second = await world.greet();
  const seconds = second.asked("subscribe").map(({ device_id, history_seconds }) => [
    device_id,
    history_seconds,
  ]);
  // E was served and heard nothing: what came since is what it missed.
  assert.deepEqual(seconds.sort(), [["d", 963], ["e", 64]]);
});

Deno.test("the latest without history is not resumed, and given the newest if that is another", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  world.client.device("d", listener);
  const first = await world.greet();
  first.subscribed();
  first.batch(1, [telemetry("d", sample(1))]);
  first.end(1006);
  await world.clock.advance(1_000);
  const second = await world.greet();
  assert.equal(second.last("subscribe").since, undefined);
  second.subscribed();
  second.batch(2, [telemetry("d", sample(1))]);
  second.batch(3, [telemetry("d", sample(9))]);
  assert.deepEqual(given, ["l1", "l9"]);
});

Deno.test("a chart of the latest with history has what it missed filled in, and no more", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  world.client.device("d", { historySeconds: 60 }, listener);
  const first = await world.greet();
  first.subscribed({ d: { from: at(-60), complete: true } });
  first.page("d", [sample(-10)]);
  first.batch(5, [telemetry("d", sample(5))]);
  first.end(1006);
  await world.clock.advance(1_000);
  const second = await world.greet();
  // What lies between two reads was not wanted before, and is not now.
  assert.deepEqual(second.last("subscribe").since, { d: at(5) });
  second.subscribed({ d: { from: at(5), complete: true } });
  second.page("d", [6, 7].map((n) => sample(n)), { second: 8 });
  second.batch(9, [telemetry("d", sample(7))]);
  second.batch(10, [telemetry("d", sample(10))]);
  assert.deepEqual(given, ["h-10", "l5", "h6", "h7", "l10"]);
});

Deno.test("devices that were lost together are resumed in one message, each from its own cursor", async () => {
  using world = clientWorld();
  for (const id of ["a", "b", "c"]) world.client.device(id, { mode: "every" }, () => {});
  const first = await world.greet();
  first.subscribed();
  first.batch(50, [telemetry("a", sample(30)), telemetry("b", sample(50, { n: 1 }))]);
  first.end(1006);
  await world.clock.advance(1_000);
  const second = await world.greet();
  const asked = second.asked("subscribe").map((
    { device_ids, device_id, since, history_seconds },
  ) => [device_ids ?? device_id, since ?? history_seconds]);
  assert.deepEqual(asked, [[["a", "b"], { a: at(20), b: at(40) }], ["c", 2]]);
});

Deno.test("a gap that the service admits is told to those that miss something, before their samples", async () => {
  using world = clientWorld();
  const told: string[] = [];
  const listen = (name: string, since: number) =>
    world.client.device("d", {
      mode: "every",
      since: at(since),
      onGap: ({ from, reason }) => told.push(`${name} ${reason} ${from}`),
    }, ({ metrics }) => told.push(`${name} ${metrics.n}`));
  listen("long", -100_000);
  listen("short", -50);
  const socket = await world.greet();
  socket.subscribed({ d: { from: at(-90_000), complete: false, reason: "too_old" } });
  socket.page("d", [sample(-60), sample(-40)]);
  assert.deepEqual(told, [
    `long too_old ${at(-90_000)}`,
    "long -60",
    "long -40",
    "short -40",
  ]);
  assert.deepEqual(world.gaps, [
    { channel: "device", device_id: "d", from: at(-90_000), reason: "too_old" },
  ]);
});

Deno.test("a span that is too long is a gap, whatever this machine's clock says", async () => {
  using world = clientWorld();
  world.client.device("d", { historySeconds: 100_000 }, () => {});
  const socket = await world.greet();
  // The service's clock is two days behind.
  socket.subscribed({ d: { from: at(-270_000), complete: false, reason: "too_old" } });
  assert.deepEqual(world.gaps.map(({ reason }) => reason), ["too_old"]);
});

Deno.test("a source that is down at the subscribe is told to all, and its history comes later", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  const reasons: (string | null)[] = [];
  world.client.device("d", {
    since: at(-60),
    onGap: ({ reason }) => reasons.push(reason),
  }, listener);
  const socket = await world.greet();
  socket.subscribed({ d: { from: at(-60), complete: false, reason: "source_unavailable" } });
  await world.clock.advance(15_000);
  socket.page("d", [sample(-30)]);
  socket.batch(16, [telemetry("d", sample(16))]);
  assert.deepEqual(reasons, ["source_unavailable"]);
  assert.deepEqual(given, ["h-30", "l16"]);
});

Deno.test("pages of a subscription that was replaced are not taken for the new one's", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  const stop = world.client.device("d", { historySeconds: 60 }, listener);
  const socket = await world.greet();
  const { id } = socket.subscribed({ d: { from: at(-60), complete: true } });
  stop();
  await world.settle();
  world.client.device("d", { historySeconds: 30 }, listener);
  await world.settle();
  socket.say({ type: "history", device_id: "d", samples: [sample(-50)], done: true, id });
  socket.subscribed({ d: { from: at(-30), complete: true } });
  socket.say({ type: "history", device_id: "d", samples: [sample(-25)], done: true, id });
  socket.page("d", [sample(-20)]);
  assert.deepEqual(given, ["h-20"]);
});

Deno.test("no more devices are asked for than the service allows, and a place that is free is taken", async () => {
  using world = clientWorld();
  const stops = Array.from({ length: 4 }, (_, n) => world.client.device(`d-${n}`, () => {}));
  const socket = await world.greet({ limits: { subscriptions: 3 } });
  assert.deepEqual(socket.last("subscribe").device_ids, ["d-0", "d-1", "d-2"]);
  socket.subscribed();
  assert.deepEqual(world.errors.map(({ code, deviceIds }) => [code, deviceIds]), [
    ["limit_exceeded", ["d-3"]],
  ]);
  stops[0]?.();
  await world.settle();
  assert.equal(socket.last("subscribe").device_id, "d-3");
});

Deno.test("a device that the service refuses does not keep those that were asked for with it from being served", async () => {
  using world = clientWorld();
  for (const id of ["a", "bad\u0007", "c"]) world.client.device(id, () => {});
  const socket = await world.greet();
  const { id } = socket.last("subscribe");
  socket.say({ type: "error", code: "invalid_device_id", message: "No", id });
  await world.settle();
  const alone = socket.asked("subscribe").slice(1);
  assert.deepEqual(alone.map(({ device_id }) => device_id), ["a", "bad\u0007", "c"]);
  socket.say({ type: "error", code: "invalid_device_id", message: "No", id: alone[1]?.id });
  await world.clock.advance(10_000);
  assert.equal(socket.asked("subscribe").length, 4);
  assert.deepEqual(world.errors.map(({ deviceIds }) => deviceIds), [["bad\u0007"]]);
});

Deno.test("what is refused to a later listener does not end what earlier ones have", async () => {
  using world = clientWorld();
  const latest = recorder();
  const every = recorder();
  const stops = [
    world.client.device("d", latest.listener),
    world.client.device("d", { mode: "every" }, every.listener),
  ];
  const socket = await world.greet();
  socket.subscribed();
  socket.batch(100, [telemetry("d", sample(100))]);
  stops.push(world.client.device("d", { historySeconds: 60 }, () => assert.fail("it was refused")));
  await world.settle();
  const { id } = socket.last("subscribe");
  // Nobody knows whether it would have been taken for one of the old subscription's or the new one's.
  socket.batch(101, [telemetry("d", sample(101))]);
  socket.say({ type: "error", code: "invalid_message", message: "No", id });
  await world.settle();
  assert.deepEqual(socket.last("subscribe").since, { d: at(90) });
  socket.subscribed({ d: { from: at(90), complete: true } });
  socket.page("d", [sample(100), sample(101)], { second: 102 });
  socket.batch(103, [telemetry("d", sample(103))]);
  assert.deepEqual(every.given, ["l100", "h101", "l103"]);
  assert.deepEqual(latest.given, ["l100", "l101", "l103"]);
  await world.clock.advance(15_000);
  assert.equal(socket.asked("subscribe").length, 3);
  for (const stop of stops) stop();
  await world.settle();
  assert.equal(socket.asked("unsubscribe").length, 1);
});

Deno.test("what was refused is asked for again on another connection", async () => {
  using world = clientWorld();
  world.client.device("d", () => {});
  const first = await world.greet();
  const { id } = first.last("subscribe");
  first.say({ type: "error", code: "invalid_message", message: "No", id });
  await world.settle();
  assert.equal(first.asked("subscribe").length, 1);
  first.end(1006);
  await world.clock.advance(1_000);
  const second = await world.greet();
  assert.equal(second.asked("subscribe").length, 1);
});

Deno.test("what an earlier connection said is not given to a newcomer as if it were now", async () => {
  using world = clientWorld();
  world.client.device("d", () => {});
  const first = await world.greet();
  first.subscribed();
  first.batch(1, [telemetry("d", sample(1))]);
  first.end(1006);
  const { given, listener } = recorder();
  world.client.device("d", listener);
  await world.clock.advance(1_000);
  const second = await world.greet();
  second.subscribed();
  assert.deepEqual(given, []);
  second.batch(2, [telemetry("d", sample(2))]);
  assert.deepEqual(given, ["l2"]);
});

Deno.test("a subscribe that the service could not take is sent again after a while", async () => {
  using world = clientWorld();
  world.client.device("d", () => {});
  const socket = await world.greet();
  const { id } = socket.last("subscribe");
  socket.say({ type: "error", code: "internal", message: "Oh", id });
  await world.clock.advance(4_999);
  assert.equal(socket.asked("subscribe").length, 1);
  await world.clock.advance(1);
  assert.equal(socket.asked("subscribe").length, 2);
});

Deno.test("while a subscribe waits to be sent again, what was followed before goes on and can be left", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  const stops = [world.client.device("d", listener)];
  const socket = await world.greet();
  socket.subscribed();
  stops.push(world.client.device("d", { historySeconds: 60 }, () => {}));
  await world.settle();
  const { id } = socket.last("subscribe");
  socket.say({ type: "error", code: "internal", message: "Oh", id });
  await world.settle();
  socket.batch(1, [telemetry("d", sample(1))]);
  assert.deepEqual(given, ["l1"]);
  for (const stop of stops) stop();
  await world.settle();
  assert.equal(socket.asked("unsubscribe").length, 1);
  await world.clock.advance(10_000);
  assert.equal(socket.asked("subscribe").length, 2);
});

Deno.test("many long names are spread over messages that the service takes", async () => {
  using world = clientWorld();
  const names = Array.from({ length: 700 }, (_, n) => `${"ü".repeat(55)}-${n}`);
  for (const name of names) world.client.device(name, () => {});
  const socket = await world.greet({ limits: { message_bytes: 20_000, subscriptions: 2_000 } });
  const asked = socket.asked("subscribe");
  for (const message of asked) {
    assert.ok(new TextEncoder().encode(JSON.stringify(message)).length <= 20_000);
  }
  assert.deepEqual(asked.flatMap(({ device_ids }) => device_ids), names);
});

Deno.test("every device is followed as one, and resumed from one instant", async () => {
  using world = clientWorld();
  const given: string[] = [];
  world.client.device(
    "*",
    { mode: "every" },
    ({ device_id, origin, metrics }) => given.push(`${device_id} ${origin[0]}${metrics.n}`),
  );
  const first = await world.greet();
  assert.equal(first.last("subscribe").device_id, "*");
  first.subscribed();
  first.batch(100, [telemetry("a", sample(100)), telemetry("b", sample(60))]);
  first.end(1006);
  await world.clock.advance(1_000);
  const second = await world.greet();
  assert.equal(second.last("subscribe").since, at(50));
  second.subscribed({
    a: { from: at(50), complete: true },
    c: { from: at(50), complete: true },
  });
  second.page("a", [100, 101].map((n) => sample(n)), { second: 102 });
  // C is still on its way; what others are pushed is not held up.
  second.batch(103, [telemetry("b", sample(103))]);
  second.page("c", [sample(90)], { second: 103 });
  assert.deepEqual(given, ["a l100", "b l60", "a h101", "b l103", "c h90"]);
});

Deno.test("a device that is long silent does not make the resume of every device long", async () => {
  using world = clientWorld();
  world.client.device("*", { mode: "every" }, () => {});
  const first = await world.greet();
  first.subscribed();
  first.batch(3_600, [telemetry("a", sample(3_600)), telemetry("b", sample(0))]);
  first.end(1006);
  await world.clock.advance(1_000);
  const second = await world.greet();
  assert.equal(second.last("subscribe").since, at(3_300));
});

Deno.test("history of every device that is lost in the middle is asked for again, and what came of it is not given twice", async () => {
  using world = clientWorld();
  const given: string[] = [];
  world.client.device("*", {
    mode: "every",
    historySeconds: 600,
    onCaughtUp: () => given.push("caught up"),
  }, ({ device_id, metrics }) => given.push(`${device_id} ${metrics.n}`));
  const first = await world.greet();
  first.subscribed({
    a: { from: at(-600), complete: true },
    b: { from: at(-600), complete: true },
  });
  first.page("a", [-590, -1].map((n) => sample(n)));
  first.batch(1, [telemetry("a", sample(1))]);
  first.end(1006);
  await world.clock.advance(2_000);
  const second = await world.greet();
  assert.equal(second.last("subscribe").history_seconds, 602);
  second.subscribed({
    a: { from: at(-600), complete: true },
    b: { from: at(-600), complete: true },
  });
  second.page("a", [-590, -1, 1, 2].map((n) => sample(n)), { second: 2 });
  second.page("b", [-595, -2].map((n) => sample(n)), { second: 2 });
  assert.deepEqual(given, ["a -590", "a -1", "a 1", "a 2", "b -595", "b -2", "caught up"]);
  second.end(1006);
  await world.clock.advance(2_000);
  const third = await world.greet();
  assert.equal(third.last("subscribe").since, at(-12), "all of it was there");
});

Deno.test("what every device missed in a long absence stays due until it is here, also over another loss", async () => {
  using world = clientWorld();
  world.client.device("*", { mode: "every" }, () => {});
  const first = await world.greet();
  first.subscribed();
  first.batch(100, ["a", "b"].map((id) => telemetry(id, sample(100))));
  first.end(1006);
  await world.clock.advance(1_000);
  const second = await world.greet();
  assert.equal(second.last("subscribe").since, at(90));
  second.subscribed({ a: { from: at(90), complete: true }, b: { from: at(90), complete: true } });
  second.page("a", [sample(500)], { second: 1_000 });
  second.page("b", [sample(200)], { second: 1_000, done: false });
  second.batch(1_001, [telemetry("a", sample(1_001))]);
  second.end(1006);
  await world.clock.advance(2_000);
  const third = await world.greet();
  assert.equal(third.last("subscribe").since, at(190));
});

Deno.test("history of every device is still due while nobody could say which devices there are", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  const unlisted = { "*": { from: at(-600), complete: false, reason: "source_unavailable" } };
  world.client.device("*", {
    historySeconds: 600,
    onCaughtUp: () => given.push("caught up"),
  }, listener);
  const first = await world.greet();
  first.subscribed(unlisted);
  await world.clock.advance(5_000);
  first.end(1006);
  await world.clock.advance(2_000);
  const second = await world.greet();
  assert.equal(second.last("subscribe").history_seconds, 607);
  second.subscribed(unlisted);
  await world.clock.advance(3_000);
  // The first page says that they are known now, and another answer which they are.
  second.page("a", [sample(-590)]);
  await world.settle();
  assert.equal(second.last("subscribe").history_seconds, 610);
  second.subscribed({
    a: { from: at(-600), complete: true },
    b: { from: at(-600), complete: true },
  });
  second.page("a", [sample(-590)], { second: 10 });
  second.page("b", [sample(-580)], { second: 10 });
  assert.deepEqual(given, ["h-590", "h-580", "caught up"]);
});

Deno.test("what every device missed is still due while nobody could say which devices there are", async () => {
  using world = clientWorld();
  world.client.device("*", { mode: "every" }, () => {});
  const first = await world.greet();
  first.subscribed();
  await world.clock.advance(10_000);
  first.end(1006);
  await world.clock.advance(40_000);
  const second = await world.greet();
  assert.equal(second.last("subscribe").history_seconds, 51);
  second.subscribed({ "*": { from: at(0), complete: false, reason: "source_unavailable" } });
  await world.clock.advance(5_000);
  second.end(1006);
  await world.clock.advance(2_000);
  const third = await world.greet();
  assert.equal(third.last("subscribe").history_seconds, 58);
});

Deno.test("a device of its own beside every device serves both, and each is given a sample once", async () => {
  using world = clientWorld();
  const all = recorder();
  const own = recorder();
  world.client.device("*", { mode: "every" }, all.listener);
  const socket = await world.greet();
  socket.subscribed();
  socket.batch(100, [telemetry("d", sample(100))]);
  const stop = world.client.device("d", { metrics: ["n"], historySeconds: 20 }, own.listener);
  await world.settle();
  const asked = socket.last("subscribe");
  assert.deepEqual([asked.device_id, asked.mode, asked.metrics], ["d", "every", undefined]);
  // Pushed because of `*`, before the answer: the history brings it.
  socket.batch(101, [telemetry("d", sample(101))]);
  socket.subscribed({ d: { from: at(80), complete: true } });
  socket.page("d", [85, 100, 101].map((n) => sample(n)), { second: 102 });
  socket.batch(103, [telemetry("d", sample(103))]);
  stop();
  await world.settle();
  assert.equal(socket.last("unsubscribe").device_id, "d");
  socket.batch(104, [telemetry("d", sample(104))]);
  assert.deepEqual(all.given, ["l100", "h101", "l103", "l104"]);
  assert.deepEqual(own.given, ["h85", "h100", "h101", "l103"]);
});

Deno.test("the answer to a device of its own is not taken for that to every device", async () => {
  using world = clientWorld();
  const given: string[] = [];
  world.client.device(
    "*",
    { mode: "every", historySeconds: 600 },
    ({ device_id, metrics }) => given.push(`${device_id} ${metrics.n}`),
  );
  world.client.device("d", { historySeconds: 60 }, () => {});
  const first = await world.greet();
  assert.equal(first.last("subscribe").device_id, "d");
  first.subscribed({ d: { from: at(-600), complete: true } });
  first.page("d", [-500, -50].map((n) => sample(n)));
  first.batch(5, [telemetry("d", sample(5))]);
  await world.settle();
  first.end(1006);
  await world.clock.advance(2_000);
  const second = await world.greet();
  const [all, own] = second.asked("subscribe");
  assert.deepEqual([all?.device_id, all?.history_seconds], ["*", 602]);
  assert.deepEqual([own?.device_id, own?.since], ["d", { d: at(-5) }]);
  second.subscribed({ d: { from: at(-5), complete: true } });
  second.page("d", [5, 6].map((n) => sample(n)), { second: 7 });
  second.batch(8, [telemetry("d", sample(8))]);
  assert.deepEqual(given, ["d -500", "d -50", "d 5", "d 6", "d 8"]);
});

Deno.test("who listens to every device is given what a device's own history brings of it first", async () => {
  using world = clientWorld();
  const all = recorder();
  world.client.device("*", { mode: "every" }, all.listener);
  const socket = await world.greet();
  socket.subscribed();
  await world.clock.advance(3_000);
  world.client.device("d", { historySeconds: 60 }, () => {});
  await world.settle();
  socket.subscribed({ d: { from: at(-57), complete: true } });
  // The second was stored while every device was followed, and no read had found it yet.
  socket.page("d", [-30, 2].map((n) => sample(n)), { second: 3 });
  socket.batch(5, [telemetry("d", sample(4))]);
  assert.deepEqual(all.given, ["h2", "l4"]);
});

Deno.test("a device that is followed by itself while the history of every device flows is no hole in that", async () => {
  using world = clientWorld();
  const all = recorder();
  world.client.device("*", {
    historySeconds: 60,
    onCaughtUp: () => all.given.push("caught up"),
  }, all.listener);
  const socket = await world.greet();
  const { id } = socket.subscribed({
    d: { from: at(-60), complete: true },
    e: { from: at(-60), complete: true },
  });
  world.client.device("d", () => {});
  await world.settle();
  const { device_id, history_seconds } = socket.last("subscribe");
  assert.deepEqual([device_id, history_seconds], ["d", 60]);
  socket.say({ type: "history", device_id: "e", samples: [sample(-5)], done: true, id });
  socket.subscribed({ d: { from: at(-60), complete: true } });
  socket.page("d", [sample(-4)]);
  assert.deepEqual(all.given, ["h-5", "h-4", "caught up"]);
});

Deno.test("windows of one device are not given to who listens to every device, who misses nothing for them", async () => {
  using world = clientWorld();
  const all = recorder();
  const chart = recorder();
  world.client.device("*", { mode: "every" }, all.listener);
  const socket = await world.greet();
  socket.subscribed();
  socket.batch(100, [telemetry("d", sample(100))]);
  world.client.device("d", { historySeconds: 600, resolutionSeconds: 60 }, chart.listener);
  await world.settle();
  assert.equal(socket.last("subscribe").history_seconds, 600);
  socket.subscribed({ d: { from: at(-500), complete: true } });
  socket.page("d", [sample(-480), sample(-420)], { second: 101 });
  socket.batch(102, [telemetry("d", sample(102))]);
  await world.settle();
  assert.equal(socket.last("subscribe").resolution_seconds, undefined);
  socket.subscribed({ d: { from: at(-430), complete: true } });
  socket.page("d", [-425, 100, 101, 102].map((n) => sample(n)), { second: 103 });
  socket.batch(104, [telemetry("d", sample(104))]);
  assert.deepEqual(all.given, ["l100", "h101", "h102", "l104"]);
  assert.deepEqual(chart.given.slice(0, 2), ["h-480", "h-420"]);
  assert.equal(chart.given.at(-1), "l104");
});

Deno.test("a device that is left in the middle of its history is followed until every device has what it brings", async () => {
  using world = clientWorld();
  const all = recorder();
  world.client.device("*", { mode: "every" }, all.listener);
  const socket = await world.greet();
  socket.subscribed();
  socket.batch(100, [telemetry("d", sample(100))]);
  const stop = world.client.device(
    "d",
    { historySeconds: 600 },
    () => assert.fail("it was left"),
  );
  await world.settle();
  stop();
  socket.batch(101, [telemetry("d", sample(101))]);
  await world.settle();
  assert.equal(socket.asked("unsubscribe").length, 0);
  socket.subscribed({ d: { from: at(-500), complete: true } });
  socket.page("d", [-450, 100, 101].map((n) => sample(n)), { second: 102, done: false });
  socket.page("d", [sample(102)], { second: 102 });
  await world.settle();
  assert.equal(socket.last("unsubscribe").device_id, "d");
  socket.batch(103, [telemetry("d", sample(103))]);
  assert.deepEqual(all.given, ["l100", "h101", "h102", "l103"]);
  assert.equal(socket.asked("subscribe").length, 2);
});

Deno.test("a device that is left while its windows come is asked for what every device missed for them", async () => {
  using world = clientWorld();
  const all = recorder();
  world.client.device("*", { mode: "every" }, all.listener);
  const socket = await world.greet();
  socket.subscribed();
  socket.batch(100, [telemetry("d", sample(100))]);
  const stop = world.client.device("d", { historySeconds: 600, resolutionSeconds: 60 }, () => {});
  await world.settle();
  stop();
  await world.settle();
  socket.subscribed({ d: { from: at(-500), complete: true } });
  socket.page("d", [sample(-480)], { second: 101 });
  socket.batch(102, [telemetry("d", sample(102))]);
  await world.settle();
  const { device_id, since, resolution_seconds } = socket.last("subscribe");
  assert.deepEqual([device_id, since, resolution_seconds], ["d", { d: at(90) }, undefined]);
  assert.equal(socket.asked("unsubscribe").length, 0);
  socket.subscribed({ d: { from: at(90), complete: true } });
  socket.page("d", [100, 101, 102].map((n) => sample(n)), { second: 103 });
  await world.settle();
  assert.equal(socket.last("unsubscribe").device_id, "d");
  socket.batch(104, [telemetry("d", sample(104))]);
  assert.deepEqual(all.given, ["l100", "h101", "h102", "l104"]);
});

Deno.test("a device that is left in the middle of its history ends at once where nobody needs all of it", async () => {
  using world = clientWorld();
  const stopAll = world.client.device("*", { mode: "every" }, () => {});
  world.client.device("*", () => {});
  const socket = await world.greet();
  socket.subscribed();
  const stop = world.client.device("d", { historySeconds: 600 }, () => {});
  await world.settle();
  stop();
  await world.settle();
  assert.equal(socket.asked("unsubscribe").length, 0);
  stopAll();
  await world.settle();
  assert.equal(socket.last("unsubscribe").device_id, "d");
});

Deno.test("a device of its own gives what every device needs, also when that comes later", async () => {
  using world = clientWorld();
  world.client.device("d", () => {});
  const socket = await world.greet();
  socket.subscribed();
  await world.settle();
  world.client.device("*", { mode: "every" }, () => {});
  await world.settle();
  const asked = socket.asked("subscribe").slice(1).map(({ device_id, mode }) => [device_id, mode]);
  assert.deepEqual(asked.toSorted(), [["*", "every"], ["d", "every"]]);
});

Deno.test("what the service would refuse is refused where it is written", () => {
  using world = clientWorld();
  const listen = (options: object, id = "d") => () => world.client.device(id, options, () => {});
  assert.throws(listen({}, ""), { code: "invalid_options" });
  assert.throws(listen({ metrics: [] }), { code: "invalid_options" });
  assert.throws(listen({ historySeconds: 0 }), { code: "invalid_options" });
  assert.throws(listen({ historySeconds: 1, since: at(0) }), { code: "invalid_options" });
  assert.throws(listen({ historySeconds: Number.POSITIVE_INFINITY }), { code: "invalid_options" });
  assert.throws(listen({ resolutionSeconds: 60 }), { code: "invalid_options" });
  for (const resolutionSeconds of [0, 1.8, 90_001, Number.NaN]) {
    const options = { historySeconds: 900, resolutionSeconds };
    assert.throws(listen(options), { code: "invalid_options" }, String(resolutionSeconds));
  }
  assert.throws(listen({ metrics: ["a", ""] }), { code: "invalid_options" });
  assert.throws(listen({ metrics: ["ü".repeat(65)] }), { code: "invalid_options" });
  assert.throws(listen({ since: "yesterday" }), { code: "invalid_options" });
  assert.equal(world.sockets.length, 0);
});

Deno.test("an instant is taken as precisely as it is given", async () => {
  using world = clientWorld();
  world.client.device("a", { since: "2026-11-18T10:00:00.123456789Z" }, () => {});
  world.client.device("b", { since: new Date("2026-11-18T12:00:00.123+02:00") }, () => {});
  world.client.device("c", { since: "2026-11-18T12:00:00+02:00" }, () => {});
  const socket = await world.greet();
  assert.deepEqual(socket.last("subscribe").since, {
    a: "2026-11-18T10:00:00.123456789Z",
    b: "2026-11-18T10:00:00.123000000Z",
    c: "2026-11-18T10:00:00.000000000Z",
  });
});

Deno.test("a device that fell silent is told, and a listener that throws is reported with it", async () => {
  using world = clientWorld();
  const stale: unknown[] = [];
  world.client.on("stale", (device) => stale.push(device));
  world.client.device("d", () => {
    throw new Error("chart");
  });
  const { given, listener } = recorder();
  world.client.device("d", listener);
  const socket = await world.greet();
  socket.subscribed();
  socket.batch(1, [
    telemetry("d", sample(1)),
    { type: "stale", device_id: "e", last: null },
  ]);
  assert.deepEqual(given, ["l1"]);
  assert.deepEqual(stale, [{ device_id: "e", last: null }]);
  assert.deepEqual(world.errors.map(({ code }) => code), ["listener_failed"]);
});

Deno.test("a device may have any name, also one that every object knows", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  for (const id of ["constructor", "__proto__"]) world.client.device(id, () => {});
  const socket = await world.greet();
  socket.subscribed();
  for (const id of ["constructor", "__proto__"]) {
    world.client.device(id, { historySeconds: 60 }, listener);
    await world.settle();
    const own = JSON.parse(`{"${id}":{"from":"${at(-60)}","complete":true}}`);
    socket.subscribed(own);
    socket.page(id, [sample(-5)]);
  }
  assert.deepEqual(given, ["h-5", "h-5"]);
});
