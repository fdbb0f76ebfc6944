// The line before the places for questions beside the ticks: whose turn it is.
import assert from "node:assert/strict";
import { SidePlaces } from "../../src/sources/side_places.ts";

/** Two places in which questions stay until they are told to go; what has got one stands in `asked`, in order. */
function fixture() {
  const places = new SidePlaces({ places: 2, maxPerKey: 32, maxWaiting: 256 });
  const asked: string[] = [];
  const going: (() => void)[] = [];
  const ask = (key: string, signal = new AbortController().signal) =>
    places.run(key, {
      signal,
      read: () => {
        asked.push(key);
        return new Promise<void>((resolve) => going.push(resolve));
      },
    });
  const settle = async () => {
    for (let turn = 0; turn < 20; turn++) await null;
  };
  return {
    places,
    asked,
    ask,
    settle,
    /** Ends the question that has had its place for the longest. */
    async next() {
      going.shift()?.();
      await settle();
    },
  };
}

Deno.test("Tenants that wait take turns, however many questions one of them has in line", async () => {
  const { places, asked, ask, settle, next } = fixture();
  const all = [
    ...Array.from({ length: 8 }, () => ask("greedy")),
    ask("a"),
    ask("b"),
    ask("a"),
  ];
  await settle();
  assert.deepEqual(asked.splice(0), ["greedy", "greedy"]);
  assert.equal(places.waiting, 9);
  for (let place = 0; place < 6; place++) await next();
  assert.deepEqual(asked.splice(0), ["greedy", "a", "b", "greedy", "a", "greedy"]);
  for (let place = 0; place < 5; place++) await next();
  await Promise.all(all);
  assert.deepEqual([places.taken, places.waiting, places.keys], [0, 0, 0]);
});

Deno.test("Who leaves the line leaves the turn of a tenant to those of its questions that wait on", async () => {
  const { places, asked, ask, settle, next } = fixture();
  const gone = new AbortController();
  const held = [ask("x"), ask("x")];
  const left = [ask("a", gone.signal), ask("b", gone.signal)];
  held.push(ask("a"), ask("c"));
  await settle();
  asked.length = 0;
  gone.abort(new Error("Enough"));
  for (const question of left) await assert.rejects(question, { message: "Enough" });
  assert.equal(places.waiting, 2);
  for (let place = 0; place < 4; place++) await next();
  assert.deepEqual(asked, ["a", "c"]);
  await Promise.all(held);
  assert.deepEqual([places.taken, places.waiting, places.keys], [0, 0, 0]);
});
