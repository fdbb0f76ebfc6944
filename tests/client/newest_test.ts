// The newest sample of a device for who wants no more than that: whole, and as soon as the client knows it.
import assert from "node:assert/strict";
import type { DeviceSample } from "../../src/client/pulsewire_client.ts";
import { at, clientWorld, sample, telemetry } from "./client_fixture.ts";

function recorder() {
  const given: unknown[] = [];
  return { given, listener: ({ metrics }: DeviceSample) => void given.push(metrics) };
}

Deno.test("a newcomer that wants more metrics is not given what was pushed without them", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  world.client.device("d", { metrics: ["a"] }, () => {});
  const socket = await world.greet();
  socket.subscribed();
  socket.batch(1, [telemetry("d", sample(1, { a: 1 }))]);
  world.client.device("d", listener);
  await world.settle();
  // Of the subscription before, on its way.
  socket.batch(2, [telemetry("d", sample(2, { a: 2 }))]);
  socket.subscribed();
  socket.batch(3, [telemetry("d", sample(2, { a: 2, b: 2 }))]);
  assert.deepEqual(given, [{ a: 2, b: 2 }]);
});

Deno.test("who comes beside a history is given the newest sample of it, and is not left without any", async () => {
  for (const mode of ["latest", "every"] as const) {
    using world = clientWorld();
    const { given, listener } = recorder();
    world.client.device("d", listener);
    world.client.device("d", { mode, historySeconds: 60 }, () => {});
    const socket = await world.greet();
    socket.subscribed({ d: { from: at(-60), complete: true } });
    socket.page("d", [sample(-50), sample(-5)], { done: false });
    assert.deepEqual(given, []);
    socket.page("d", [sample(-4)]);
    assert.deepEqual(given, [{ n: -4 }], mode);
  }
});

Deno.test("what came while the connection was lost is told to who wants the newest, too", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  world.client.device("d", { mode: "every" }, () => {});
  world.client.device("d", listener);
  world.client.device("*", listener);
  const first = await world.greet();
  const [own, all] = first.asked("subscribe");
  for (const { device_id, id } of [own ?? {}, all ?? {}]) {
    first.say({ type: "subscribed", channel: "device", device_id, id });
  }
  first.batch(1, [telemetry("d", sample(1))]);
  first.end(1006);
  await world.clock.advance(1_000);
  const second = await world.greet();
  const again = second.asked("subscribe");
  const id = again.find(({ device_id }) => device_id === "d")?.id;
  const star = again.find(({ device_id }) => device_id === "*")?.id;
  second.say({ type: "subscribed", channel: "device", device_id: "*", id: star });
  const resume = { d: { from: at(-9), complete: true } };
  second.say({ type: "subscribed", channel: "device", device_id: "d", resume, id });
  const samples = [1, 2, 3].map((n) => sample(n));
  second.say({ type: "history", device_id: "d", samples, done: true, id });
  assert.deepEqual(given, [{ n: 1 }, { n: 1 }, { n: 3 }, { n: 3 }]);
  second.batch(4, [telemetry("d", sample(4))]);
  assert.deepEqual(given.slice(4), [{ n: 4 }, { n: 4 }]);
});

Deno.test("who listens to every device is not shown what a device's history lacks", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  world.client.device("d", { metrics: ["a"], historySeconds: 60 }, () => {});
  const socket = await world.greet();
  socket.subscribed({ d: { from: at(-60), complete: true } });
  const { id } = socket.last("subscribe");
  world.client.device("*", listener);
  await world.settle();
  socket.subscribed();
  const samples = [sample(-4, { a: 1 })];
  socket.say({ type: "history", device_id: "d", samples, done: true, id });
  assert.deepEqual(given, []);
});
