// From where who listens to every device is asked for again: nothing that a device's own subscription brings, or was to
// bring, may take from what is due.
import assert from "node:assert/strict";
import {
  answerer,
  clientWorld,
  type FakeSocket,
  sample,
  telemetry,
  type World,
} from "./client_fixture.ts";

const PAST_OF_ALL = ["e"];

function page(socket: FakeSocket, deviceId: string, id: unknown, ...seconds: number[]): void {
  const samples = seconds.map((second) => sample(second));
  socket.say({ type: "history", device_id: deviceId, samples, done: true, id });
}

async function reconnect(world: World): Promise<FakeSocket> {
  world.socket().end(1006);
  await world.clock.advance(5_000);
  return await world.greet();
}

Deno.test("what one device pushes does not shorten what a slow loop over every device is due of the others", async () => {
  using world = clientWorld();
  const options = { mode: "every" } as const;
  const loop = world.client.samples("*", { ...options, bufferSize: 2 });
  world.client.device("d", options, () => {});
  const socket = await world.greet();
  const answer = answerer(socket, PAST_OF_ALL);
  answer();
  const full = [telemetry("d", sample(1)), telemetry("d", sample(2)), telemetry("e", sample(2))];
  socket.batch(2, full);
  // While this one's history flows, nothing else is asked of every device.
  world.client.device("*", { ...options, historySeconds: 60 }, () => {});
  await world.settle();
  const asked = answer();
  page(socket, "d", asked.find(({ device_id }) => device_id === "d")?.id, 1, 2);
  for (let n = 0; n < 2; n++) await loop.next();
  await world.settle();
  page(socket, "d", answer().at(-1)?.id, 1, 2, 20);
  page(socket, "e", asked.find(({ device_id }) => device_id === "*")?.id, 2);
  await world.settle();
  page(socket, "e", answer().find(({ device_id }) => device_id === "*")?.id, 2);
  const taken = [await loop.next(), await loop.next()].map(({ value }) => value?.device_id);
  assert.deepEqual(taken, ["d", "e"]);
});

Deno.test("a device that is left stays followed until a loop over every device has room for what it is due of it", async () => {
  using world = clientWorld();
  const loop = world.client.samples("*", { mode: "every", bufferSize: 2 });
  const stop = world.client.device("d", { mode: "every" }, () => {});
  const socket = await world.greet();
  const answer = answerer(socket, PAST_OF_ALL);
  answer();
  socket.batch(3, [1, 2, 3].map((n) => telemetry("d", sample(n))));
  stop();
  await world.settle();
  assert.deepEqual(socket.asked("unsubscribe"), []);
  for (let n = 0; n < 2; n++) await loop.next();
  await world.settle();
  page(socket, "d", answer().find(({ device_id }) => device_id === "d")?.id, 1, 2, 3);
  assert.equal((await loop.next()).value?.metrics.n, 3);
  await world.settle();
  assert.equal(socket.asked("unsubscribe", "device").length, 1);
});

Deno.test("what a device's own subscription had not brought when it was left and the socket ended is asked of every device", async () => {
  using world = clientWorld();
  const options = { mode: "every", historySeconds: 60 } as const;
  const stop = world.client.device("d", options, () => {});
  const first = await world.greet();
  world.client.device("*", options, () => {});
  await world.settle();
  const { device_id, id } = first.last("subscribe");
  first.say({ type: "subscribed", channel: "device", device_id, resume: {}, id });
  stop();
  const second = await reconnect(world);
  const again = second.last("subscribe");
  assert.equal(again.device_id, "*");
  assert.ok(again.history_seconds >= 60, `it asks for ${again.history_seconds} s only`);
});

Deno.test("a device that has given nothing yet is resumed from where it was due, however far the others are", async () => {
  using world = clientWorld();
  const given: unknown[] = [];
  world.client.device("*", { mode: "every", historySeconds: 60 }, ({ device_id, metrics }) => {
    given.push([device_id, metrics.n]);
  });
  world.client.device("d", { mode: "every" }, () => {});
  const first = await world.greet();
  page(first, "d", answerer(first, PAST_OF_ALL)().find(({ device_id }) => device_id === "d")?.id);
  const second = await reconnect(world);
  const asked = answerer(second, PAST_OF_ALL)();
  page(second, "e", asked.find(({ device_id }) => device_id === "*")?.id, 5);
  const third = await reconnect(world);
  const own = answerer(third, PAST_OF_ALL)().find(({ device_id }) => device_id === "d");
  page(third, "d", own?.id, -8, 4);
  assert.deepEqual(given, [["e", 5], ["d", -8], ["d", 4]]);
});
