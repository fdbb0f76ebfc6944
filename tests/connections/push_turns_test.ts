// Who pushes when: a tenant with many clients must not keep others waiting until all of them are served.
import assert from "node:assert/strict";
import { PushTurns, TurnQueue } from "../../src/connections/push_turns.ts";

const TURN_MS = 1;
/** Turns that certainly take longer than one slice. */
const MANY = 200;

/** A clock that moves with each turn that is taken, and a runtime that has something else to do in between. */
function world() {
  let now = 0;
  const timers: Array<() => void> = [];
  const taken: string[] = [];
  const turns = new PushTurns({
    now: () => now,
    monotonicNow: () => now,
    setTimeout: (callback) => timers.push(callback),
    clearTimeout: () => assert.fail("no timer is taken back"),
  });
  const add = (queue: TurnQueue, { name, count }: { name: string; count: number }) => {
    for (let nth = 0; nth < count; nth++) {
      turns.add(queue, {
        take() {
          now += TURN_MS;
          taken.push(`${name}${nth}`);
        },
      });
    }
  };
  return {
    add,
    taken,
    /** Runs what the runtime was asked to go on with; false when there was nothing. */
    goOn: async () => {
      await Promise.resolve();
      const timer = timers.shift();
      timer?.();
      return timer !== undefined;
    },
  };
}

Deno.test("Turns are taken after whatever runs now, in order, each once", async () => {
  const { add, taken, goOn } = world();
  const queue = new TurnQueue();
  add(queue, { name: "a", count: MANY });
  assert.deepEqual(taken, []);
  while (await goOn());
  assert.deepEqual(taken, Array.from({ length: MANY }, (_, nth) => `a${nth}`));
  assert.equal(queue.isEmpty, true);
});

Deno.test("Many turns leave the process to others after some milliseconds", async () => {
  const { add, taken, goOn } = world();
  add(new TurnQueue(), { name: "a", count: MANY });
  await Promise.resolve();
  assert.ok(taken.length > 0 && taken.length < MANY / 4, `${taken.length} at once`);
  await goOn();
  assert.ok(taken.length < MANY / 2, `${taken.length} after a pause`);
});

Deno.test("A tenant with few clients is served between the slices of one with many", async () => {
  const { add, taken, goOn } = world();
  add(new TurnQueue(), { name: "many", count: MANY });
  await Promise.resolve();
  add(new TurnQueue(), { name: "few", count: 2 });
  // The one that was in the rotation before has a slice, then it is theirs.
  await goOn();
  await goOn();
  assert.deepEqual(taken.filter((name) => name.startsWith("few")), ["few0", "few1"]);
  assert.ok(taken.length < MANY / 2, `${taken.length} were taken before`);
  while (await goOn());
  assert.equal(taken.length, MANY + 2);
});

Deno.test("A turn that is added while its queue is served is taken too", async () => {
  const { add, taken, goOn } = world();
  const queue = new TurnQueue();
  add(queue, { name: "a", count: MANY });
  await Promise.resolve();
  add(queue, { name: "b", count: 1 });
  while (await goOn());
  assert.equal(taken.at(-1), "b0");
  add(queue, { name: "c", count: 1 });
  while (await goOn());
  assert.equal(taken.at(-1), "c0");
});

Deno.test("Many tenants with a client each leave the process to others, too", async () => {
  const { add, taken, goOn } = world();
  for (let nth = 0; nth < MANY; nth++) add(new TurnQueue(), { name: `t${nth}-`, count: 1 });
  await Promise.resolve();
  assert.ok(taken.length > 0 && taken.length < MANY / 4, `${taken.length} at once`);
  while (await goOn());
  assert.equal(new Set(taken).size, MANY);
});

Deno.test("A queue that is never empty does not grow with the turns that were taken", () => {
  const queue = new TurnQueue();
  const turn = { take() {} };
  queue.add(turn);
  const before = Deno.memoryUsage().heapUsed;
  for (let nth = 0; nth < 8_000_000; nth++) {
    queue.add(turn);
    queue.takeNext();
  }
  assert.equal(queue.isEmpty, false);
  const grownMiB = (Deno.memoryUsage().heapUsed - before) / (1 << 20);
  assert.ok(grownMiB < 32, `one turn waits in ${grownMiB.toFixed(0)} MiB`);
});
