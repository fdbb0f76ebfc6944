// The samples of a device one by one, in a loop that may be slow, stop, or be stopped.
import assert from "node:assert/strict";
import type { DeviceSample } from "../../src/client/pulsewire_client.ts";
import { at, clientWorld, sample, telemetry, type World } from "./client_fixture.ts";

/** Takes so many samples and returns their metric `n`. */
async function take(samples: AsyncIterator<DeviceSample>, count: number) {
  const taken: unknown[] = [];
  for (let n = 0; n < count; n++) taken.push((await samples.next()).value?.metrics.n);
  return taken;
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

const pushes = (from: number, to: number) =>
  numbers(from, to).map((n) => telemetry("d", sample(n)));

async function following(world: World, options: Parameters<World["client"]["samples"]>[1]) {
  const samples = world.client.samples("d", options);
  const socket = await world.greet();
  socket.subscribed();
  return { samples, socket };
}

Deno.test("a loop is given each sample as it comes, and leaving it ends the subscription", async () => {
  using world = clientWorld();
  const taken: unknown[] = [];
  const loop = (async () => {
    for await (const { metrics } of world.client.samples("d", { mode: "every" })) {
      taken.push(metrics.n);
      if (metrics.n === 3) break;
    }
  })();
  const socket = await world.greet();
  socket.subscribed();
  socket.batch(3, pushes(1, 4));
  await loop;
  await world.settle();
  assert.deepEqual(taken, [1, 2, 3]);
  assert.equal(socket.asked("unsubscribe").length, 1);
});

Deno.test("a loop that is slow is given the newest in mode latest", async () => {
  using world = clientWorld();
  const { samples, socket } = await following(world, {});
  for (let n = 1; n <= 5_000; n++) socket.batch(n, pushes(n, n));
  assert.deepEqual(await take(samples, 1), [5_000]);
});

Deno.test("a loop that is slow in mode every is late and loses nothing, with bounded memory", async () => {
  using world = clientWorld();
  const { samples, socket } = await following(world, { mode: "every", bufferSize: 10 });
  for (let n = 1; n <= 100; n++) socket.batch(n, pushes(n, n));
  await world.settle();
  assert.equal(socket.asked("subscribe").length, 1);
  const taken = await take(samples, 5);
  let stored = 100;
  let passes = 1;
  while (taken.length < 110) {
    await world.settle();
    // Each time that half was taken, the rest is asked for from where the loop is.
    if (socket.asked("subscribe").length > passes) {
      passes++;
      const { since } = socket.subscribed({ d: { from: "x", complete: true } });
      const due = numbers(1, stored).filter((n) => sample(n).timestamp > since.d);
      socket.page("d", due.map((n) => sample(n)), { second: stored });
      if (stored === 100) socket.batch(110, pushes(101, stored = 110));
    }
    taken.push(...await take(samples, 5));
  }
  assert.ok(passes > 10, `${passes} subscribes for 110 samples by 10`);
  assert.deepEqual(taken, numbers(1, 110));
});

Deno.test("a slow loop over every device loses nothing of a long history, and is asked for no more than it lacks", async () => {
  using world = clientWorld();
  const samples = world.client.samples("*", { historySeconds: 3_600, bufferSize: 4 });
  const socket = await world.greet();
  const stored = new Map(
    ["a", "b"].map((id, index) => [id, numbers(1, 10).map((n) => n + 10 * index)]),
  );
  const given: unknown[] = [];
  const asked: number[] = [];
  while (given.length < 20) {
    await world.settle();
    if (socket.asked("subscribe").length > asked.length) {
      const { since } = socket.last("subscribe");
      const from = since === undefined ? at(-3_600) : String(since);
      asked.push(since === undefined ? 0 : Date.parse(from));
      socket.subscribed(
        Object.fromEntries([...stored.keys()].map((id) => [id, { from, complete: true }])),
      );
      for (const [id, all] of stored) {
        const due = all.map((n) => sample(n - 3_500, { n })).filter((one) => one.timestamp > from);
        socket.page(id, due);
      }
    }
    given.push(...await take(samples, 2));
  }
  assert.deepEqual(given, numbers(1, 20));
  assert.deepEqual(asked, asked.toSorted((one, other) => one - other));
  assert.ok(new Set(asked).size > 2, "each time all of it was asked for");
});

Deno.test("a slow loop holds nobody else up", async () => {
  using world = clientWorld();
  const heard: unknown[] = [];
  world.client.device("d", { mode: "every" }, ({ metrics }) => heard.push(metrics.n));
  const { samples, socket } = await following(world, { mode: "every", bufferSize: 4 });
  socket.batch(9, pushes(1, 9));
  await take(samples, 2);
  await world.settle();
  socket.batch(10, pushes(10, 10));
  socket.subscribed({ d: { from: "x", complete: true } });
  socket.page("d", numbers(1, 10).map((n) => sample(n)), { second: 10 });
  socket.batch(11, pushes(11, 11));
  assert.deepEqual(heard, numbers(1, 11));
  assert.deepEqual(await take(samples, 4), [3, 4, 5, 6]);
});

Deno.test("a signal ends a loop quietly, before it began and while it waits", async () => {
  using world = clientWorld();
  const before = world.client.samples("d", { signal: AbortSignal.abort() });
  assert.equal((await before.next()).done, true);
  const abort = new AbortController();
  const { samples, socket } = await following(world, { signal: abort.signal });
  const waiting = samples.next();
  abort.abort();
  assert.equal((await waiting).done, true);
  await world.settle();
  assert.equal(socket.asked("unsubscribe").length, 1);
});

Deno.test("a loop ends with the client, and with what a loop holds when it is left", async () => {
  const world = clientWorld();
  const { samples, socket } = await following(world, { mode: "every" });
  socket.batch(2, pushes(1, 2));
  world.client.close();
  assert.equal((await samples.next()).done, true);
  assert.equal((await world.client.samples("d").next()).done, true);
});

Deno.test("a refusal that lasts is thrown in the loop", async () => {
  using refused = clientWorld();
  const loop = refused.client.samples("d").next();
  const socket = await refused.greet();
  const { id } = socket.last("subscribe");
  socket.say({ type: "error", code: "invalid_device_id", message: "No such id", id });
  await assert.rejects(loop, { code: "invalid_device_id", message: "No such id" });

  using unauthorized = clientWorld();
  const { samples } = await following(unauthorized, {});
  const waiting = samples.next();
  unauthorized.socket().end(4003, "Unauthorized");
  await assert.rejects(waiting, { code: "unauthorized" });
  await assert.rejects(unauthorized.client.samples("d").next(), { code: "unauthorized" });
});

Deno.test("a loop that has ended leaves nothing at its signal, also where it never began", async () => {
  const { signal } = new AbortController();
  const listeners = new Set<unknown>();
  const watched = Object.create(signal, {
    aborted: { value: false },
    addEventListener: { value: (_: string, listener: unknown) => listeners.add(listener) },
    removeEventListener: { value: (_: string, listener: unknown) => listeners.delete(listener) },
  });
  using world = clientWorld();
  const { samples } = await following(world, { signal: watched });
  assert.equal(listeners.size, 1);
  await samples.return?.();
  world.socket().end(4003, "Unauthorized");
  await assert.rejects(world.client.samples("d", { signal: watched }).next());
  world.client.close();
  await world.client.samples("d", { signal: watched }).next();
  assert.equal(listeners.size, 0);
});

Deno.test("a loop goes on over a lost connection without gap or repeat", async () => {
  using world = clientWorld();
  const { samples, socket } = await following(world, { mode: "every" });
  socket.batch(20, pushes(1, 20));
  assert.deepEqual(await take(samples, 20), numbers(1, 20));
  socket.end(1006);
  await world.clock.advance(1_000);
  const second = await world.greet();
  second.subscribed({ d: { from: "x", complete: true } });
  second.page("d", numbers(11, 30).map((n) => sample(n)), { second: 30 });
  second.batch(31, pushes(31, 31));
  assert.deepEqual(await take(samples, 11), numbers(21, 31));
});

Deno.test("a loop that wants repeats and holds fewer samples than there are devices is given each device, and no read twice", async () => {
  using world = clientWorld();
  const samples = world.client.samples("*", { changesOnly: false, bufferSize: 2 });
  const socket = await world.greet();
  socket.subscribed();
  const ids = ["a", "b", "c", "d", "e", "f"];
  const taken: unknown[] = [];
  socket.batch(1, ids.map((id) => telemetry(id, sample(1))));
  while (taken.length < 7) {
    const next = await Promise.race([samples.next(), world.settle()]);
    await world.settle();
    if (next === undefined) break;
    taken.push(next.value?.device_id);
  }
  assert.deepEqual(taken, ids);
});

Deno.test("a loop that is slower than its devices reaches each of them in turn", async () => {
  using world = clientWorld();
  const samples = world.client.samples("*", { bufferSize: 2 });
  const socket = await world.greet();
  socket.subscribed();
  const ids = ["a", "b", "c", "d", "e", "f"];
  const taken = new Set<unknown>();
  for (let second = 1; second <= 12; second++) {
    socket.batch(second, ids.map((id) => telemetry(id, sample(second))));
    taken.add((await samples.next()).value?.device_id);
    await world.settle();
  }
  assert.deepEqual([...taken].sort(), ids);
});
