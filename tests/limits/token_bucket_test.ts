// Rates: what is let through, what the refused are told, and that no flood of keys fills memory.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { KeyedBuckets, TokenBucket } from "../../src/limits/token_bucket.ts";
import { fakeClock } from "../support/fake_clock.ts";

Deno.test("A full bucket gives its burst at once and then its rate", async () => {
  const clock = fakeClock();
  const bucket = new TokenBucket({ ratePerSecond: 10, burst: 3, clock });
  assert.deepEqual([1, 2, 3].map(() => bucket.take()), [0, 0, 0]);
  assert.equal(bucket.take(), 100);
  assert.equal(bucket.take(), 100, "a refusal costs nothing");
  await clock.advance(100);
  assert.equal(bucket.take(), 0);
  await clock.advance(60_000);
  assert(bucket.isFull);
  assert.deepEqual([1, 2, 3, 4].map(() => bucket.take()), [0, 0, 0, 100]);
});

Deno.test("Waiting exactly as long as told always helps, however the time went by", async () => {
  const rates = fc.constantFrom(0.7, 1, 3, 7, 50, 333);
  const pauses = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 30, size: "max" });
  await fc.assert(
    fc.asyncProperty(rates, pauses, async (ratePerSecond, waits) => {
      const clock = fakeClock();
      const bucket = new TokenBucket({ ratePerSecond, burst: 2, clock });
      let granted = 0;
      for (const ms of waits) {
        if (bucket.take() === 0) granted++;
        await clock.advance(ms);
      }
      const passedMs = waits.reduce((sum, ms) => sum + ms, 0);
      assert(granted <= 2 + passedMs / 1_000 * ratePerSecond + 0.001, "never more than the rate");
      for (let round = 0; round < 5; round++) {
        const waitMs = bucket.take();
        if (waitMs === 0) continue;
        await clock.advance(waitMs);
        assert.equal(bucket.take(), 0);
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("What adding fractions loses makes no wait of the time that was named vain", () => {
  let now = 0;
  const clock = { ...fakeClock(), monotonicNow: () => now };
  const bucket = new TokenBucket({ ratePerSecond: 10, burst: 2, clock });
  // Found by search: after these pauses the tokens add up to 0.9999999999999999.
  let seed = 337;
  for (let i = 0; i < 12; i++) {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    now += seed % 7;
    bucket.take();
  }
  const waitMs = bucket.take();
  assert.equal(waitMs, 87);
  now += waitMs;
  assert.equal(bucket.take(), 0);
});

Deno.test("A wall clock that is set neither empties the bucket nor fills it", () => {
  let now = 1_000_000;
  const clock = { ...fakeClock(), now: () => now };
  const bucket = new TokenBucket({ ratePerSecond: 1, burst: 2, clock });
  bucket.take();
  now = 0;
  assert.deepEqual([bucket.take(), bucket.take()], [0, 1_000]);
  now = 2_000_000;
  assert.equal(bucket.take(), 1_000);
});

Deno.test("Each key has a bucket of its own", () => {
  const buckets = new KeyedBuckets({ ratePerSecond: 1, burst: 1, maxKeys: 10, clock: fakeClock() });
  assert.deepEqual([buckets.take("a"), buckets.take("a"), buckets.take("b")], [0, 1_000, 0]);
});

Deno.test("A flood of addresses fills no memory, and forgets first what says nothing", async () => {
  const clock = fakeClock();
  const buckets = new KeyedBuckets({ ratePerSecond: 1, burst: 2, maxKeys: 100, clock });
  for (let i = 0; i < 100; i++) buckets.take(`old-${i}`);
  await clock.advance(1_000);
  for (let i = 0; i < 4; i++) buckets.take("busy");
  assert.equal(buckets.size, 1, "those that are full again are forgotten");
  for (let i = 0; i < 10_000; i++) {
    buckets.take(`new-${i}`);
    assert(buckets.size <= 100);
  }
});

Deno.test("A flood of addresses doesn't make each of them cost a walk over all", () => {
  let looks = 0;
  const clock = { ...fakeClock(), monotonicNow: () => (looks++, 0) };
  const buckets = new KeyedBuckets({ ratePerSecond: 1, burst: 2, maxKeys: 1_000, clock });
  for (let i = 0; i < 1_000; i++) buckets.take(`old-${i}`);
  looks = 0;
  for (let i = 0; i < 1_000; i++) buckets.take(`new-${i}`);
  assert(looks < 6_000, `the clock was asked ${looks} times`);
});
