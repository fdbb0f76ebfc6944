// Who listens to every device beside a device's own subscription: what the service sends of that one comes through it
// alone, and nothing of it is lost or doubled for who was not ready to take it.
import assert from "node:assert/strict";
import type { DeviceSample } from "../../src/client/pulsewire_client.ts";
import { answerer, at, clientWorld, sample, telemetry } from "./client_fixture.ts";

async function take(samples: AsyncIterator<DeviceSample>, count: number) {
  const taken: unknown[] = [];
  for (let n = 0; n < count; n++) taken.push((await samples.next()).value?.metrics.n);
  return taken;
}

Deno.test("a slow loop over every device is brought what it paused for by the device's own subscription", async () => {
  using world = clientWorld();
  const samples = world.client.samples("*", { mode: "every", bufferSize: 2 });
  const own: unknown[] = [];
  world.client.device("d", { mode: "every" }, ({ metrics }) => own.push(metrics.n));
  const socket = await world.greet();
  const answer = answerer(socket);
  answer();
  for (let n = 1; n <= 5; n++) socket.batch(n, [telemetry("d", sample(n))]);
  assert.deepEqual(await take(samples, 2), [1, 2]);
  await world.settle();
  const [again] = answer().filter(({ device_id }) => device_id === "d");
  assert.ok(again?.since.d <= at(2), "what it missed is asked for");
  socket.say({
    type: "history",
    device_id: "d",
    samples: [1, 2, 3, 4, 5, 6].map((n) => sample(n)),
    done: true,
    id: again?.id,
  });
  // It is full once more, in the middle of what it missed.
  assert.deepEqual(await take(samples, 2), [3, 4]);
  await world.settle();
  const [third] = answer().filter(({ device_id }) => device_id === "d");
  const rest = [5, 6].map((n) => sample(n));
  socket.say({ type: "history", device_id: "d", samples: rest, done: true, id: third?.id });
  assert.deepEqual(await take(samples, 2), [5, 6]);
  socket.batch(7, [telemetry("d", sample(7))]);
  assert.deepEqual(await take(samples, 1), [7]);
  assert.deepEqual(own, [1, 2, 3, 4, 5, 6, 7]);
});

Deno.test("a history of every device that is asked for later has its part of a device that is followed already", async () => {
  using world = clientWorld();
  world.client.device("d", { mode: "every" }, () => {});
  const socket = await world.greet();
  const answer = answerer(socket);
  answer();
  const given: unknown[] = [];
  world.client.device("*", { mode: "every", historySeconds: 60 }, (one) => {
    given.push(one.metrics.n);
  });
  await world.settle();
  const asked = answer();
  assert.deepEqual(asked.map((one) => [one.device_id, one.history_seconds]), [["d", 60], [
    "*",
    60,
  ]]);
  const samples = [-30, -20].map((n) => sample(n));
  socket.say({ type: "history", device_id: "d", samples, done: true, id: asked[0]?.id });
  socket.batch(1, [telemetry("d", sample(1))]);
  assert.deepEqual(given, [-30, -20, 1]);
  await world.settle();
  assert.deepEqual(answer(), []);
});

Deno.test("what a device's own history is on its way for does not stand in for that of every device", async () => {
  using world = clientWorld();
  world.client.device("d", { mode: "every", historySeconds: 5 }, () => {});
  const socket = await world.greet();
  const given: unknown[] = [];
  world.client.device("*", { mode: "every", historySeconds: 60 }, (one) => {
    given.push(one.metrics.n);
  });
  await world.settle();
  const answer = answerer(socket);
  const [own] = answer();
  const page = (id: unknown, ...seconds: number[]) =>
    socket.say({
      type: "history",
      device_id: "d",
      samples: seconds.map((n) => sample(n)),
      done: true,
      id,
    });
  page(own?.id, -3);
  // Live before its past is here: the past brings it.
  socket.batch(1, [telemetry("d", sample(1))]);
  await world.settle();
  const [again] = answer();
  assert.ok(again?.since.d < at(-30), "what the own history did not have is asked for");
  page(again?.id, -30, -3, 1);
  socket.batch(2, [telemetry("d", sample(2))]);
  assert.deepEqual(given, [-30, -3, 1, 2]);
});

Deno.test("what a device's own subscription brought first does not shorten the history of all others", async () => {
  using world = clientWorld();
  // While this one's history flows, nothing else is asked of every device.
  world.client.device("*", { mode: "every", historySeconds: 60 }, () => {});
  const socket = await world.greet();
  const first = socket.subscribed({ e: { from: at(-60), complete: true } });
  world.client.device("*", { mode: "every", historySeconds: 600 }, () => {});
  world.client.device("d", { mode: "every" }, () => {});
  await world.settle();
  socket.subscribed({ d: { from: at(-600), complete: true } });
  socket.page("d", [sample(-1)]);
  socket.say({ type: "history", device_id: "e", samples: [], done: true, id: first.id });
  await world.settle();
  const { device_id, since } = socket.last("subscribe");
  assert.deepEqual([device_id, since], ["*", at(-600)]);
});

Deno.test("a device's own subscribe that fails takes nothing from who listens to every device", async () => {
  using world = clientWorld();
  const given: unknown[] = [];
  world.client.device("*", { mode: "every" }, ({ metrics }) => given.push(metrics.n));
  world.client.device("d", () => {});
  const socket = await world.greet();
  const answer = answerer(socket);
  answer();
  socket.batch(100, [telemetry("d", sample(100))]);
  world.client.device("d", { historySeconds: 5 }, () => {});
  await world.settle();
  socket.batch(101, [telemetry("d", sample(101))]);
  const { id } = socket.last("subscribe");
  socket.say({ type: "error", code: "internal", message: "Oh", id });
  socket.batch(150, [telemetry("d", sample(150))]);
  await world.clock.advance(5_000);
  const again = answer().at(-1);
  assert.deepEqual(again?.since, { d: at(90) });
  const samples = [100, 101, 150, 151].map((n) => sample(n));
  socket.say({ type: "history", device_id: "d", samples, done: true, id: again?.id });
  assert.deepEqual(given, [100, 101, 150, 151]);
});

Deno.test("the answer to every device does not open what a device's own history is held back for", async () => {
  using world = clientWorld();
  const given: unknown[] = [];
  world.client.device("*", { mode: "every" }, ({ metrics }) => given.push(metrics.n));
  const socket = await world.greet();
  const answer = answerer(socket);
  answer();
  for (const n of [98, 99, 100]) socket.batch(n, [telemetry("d", sample(n))]);
  world.client.device("d", { historySeconds: 60 }, () => {});
  world.client.device("*", { mode: "every", since: at(99) }, () => {});
  await world.settle();
  const own = answer().find(({ device_id }) => device_id === "d");
  const samples = [50, 60, 98, 99, 100, 101].map((n) => sample(n));
  socket.say({ type: "history", device_id: "d", samples, done: true, id: own?.id });
  assert.deepEqual(given, [98, 99, 100, 101]);
});

Deno.test("what every device is asked for anew from is no bound for what one device's own subscription owes", async () => {
  using world = clientWorld();
  const given: Record<string, unknown[]> = { first: [], second: [] };
  const options = { mode: "every", historySeconds: 20 } as const;
  world.client.device("d", options, () => {});
  const socket = await world.greet();
  world.client.device("*", options, ({ metrics }) => given.first?.push(metrics.n));
  await world.clock.advance(8_000);
  world.client.device("*", options, ({ metrics }) => given.second?.push(metrics.n));
  await world.settle();
  const answer = answerer(socket);
  const page = (id: unknown) => {
    const samples = [sample(-5)];
    socket.say({ type: "history", device_id: "d", samples, done: true, id });
  };
  const [own] = answer();
  await world.settle();
  page(own?.id);
  await world.settle();
  const again = answer();
  assert.deepEqual(again.map(({ device_id }) => device_id).sort(), ["*", "d"]);
  page(again.find(({ device_id }) => device_id === "d")?.id);
  assert.deepEqual(given, { first: [-5], second: [-5] });
});
