// The waits between attempts, whatever the random numbers are.
import assert from "node:assert/strict";
import { Backoff } from "../../src/client/backoff.ts";

const bounds = { baseMs: 1_000, maxMs: 30_000, minMs: 250 };

Deno.test("a wait is random under a ceiling that doubles with each failure up to the highest", () => {
  const highest = new Backoff({ ...bounds, random: () => 0.999_999_999 });
  const ceilings = Array.from({ length: 8 }, () => Math.round(highest.next()));
  assert.deepEqual(ceilings, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

Deno.test("a wait is never shorter than the shortest, however unlucky the random numbers", () => {
  const lowest = new Backoff({ ...bounds, random: () => 0 });
  for (let attempt = 0; attempt < 2_000; attempt++) assert.equal(lowest.next(), 250);
});

Deno.test("all of a wait above the shortest is random, and not only a part", () => {
  const quarter = new Backoff({ ...bounds, random: () => 0.25 });
  assert.deepEqual([quarter.next(), quarter.next()], [437.5, 687.5]);
});

Deno.test("after a success the next failure is the first one again", () => {
  const backoff = new Backoff({ ...bounds, random: () => 0.999_999_999 });
  for (let attempt = 0; attempt < 5; attempt++) backoff.next();
  backoff.succeed();
  assert.equal(Math.round(backoff.next()), 1_000);
});
