// Many instants kept by one timer: each is called in its turn, none early, and nothing stays of those that are dropped.
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Clock } from "../../src/clock.ts";
import { type Deadline, Deadlines } from "../../src/connections/deadlines.ts";
import { fakeClock } from "../support/fake_clock.ts";

class Noted implements Deadline {
  place: number | null = null;
  readonly at: number;
  readonly #due: (noted: Noted) => void;

  constructor(at: number, due: (noted: Noted) => void) {
    this.at = at;
    this.#due = due;
  }

  due(): void {
    this.#due(this);
  }
}

Deno.test("Whatever is kept and dropped, each that is left is called once, in order and at its instant", async () => {
  const step = fc.record({
    afterMs: fc.integer({ min: 0, max: 300_000 }),
    isDropped: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60, size: "max" }),
      fc.nat(),
      async (steps, seed) => {
        const clock = fakeClock();
        const start = clock.now();
        const deadlines = new Deadlines(clock);
        const called: Array<readonly [at: number, when: number]> = [];
        const kept = steps.map(({ afterMs, isDropped }) => {
          const noted = new Noted(start + afterMs, ({ at }) => called.push([at, clock.now()]));
          deadlines.keep(noted);
          return { noted, isDropped };
        });
        assert(clock.timerCount <= 1);
        const dropped = kept.filter(({ isDropped }) => isDropped);
        // In no order that has to do with theirs.
        for (let nth = 0; nth < dropped.length; nth++) {
          const [one] = dropped.splice((seed + nth) % dropped.length, 1);
          if (one !== undefined) {
            deadlines.drop(one.noted);
            deadlines.drop(one.noted);
            dropped.unshift(one);
          }
        }
        for (const { noted } of dropped) deadlines.drop(noted);
        await clock.advance(300_000);
        const expected = kept.filter(({ isDropped }) => !isDropped).map(({ noted }) => noted.at);
        expected.sort((a, b) => a - b);
        assert.deepEqual(called, expected.map((at) => [at, at]));
        assert.equal(deadlines.size, 0);
        assert.equal(clock.timerCount, 0);
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("A thousand that come and go set no more timers than one that stays", () => {
  const clock = fakeClock();
  let timersSet = 0;
  const counted: Clock = {
    ...clock,
    setTimeout: (act, ms) => (timersSet++, clock.setTimeout(act, ms)),
  };
  const deadlines = new Deadlines(counted);
  deadlines.keep(new Noted(clock.now() + 3_600_000, () => assert.fail("It is not due")));
  for (let nth = 0; nth < 1_000; nth++) {
    const noted = new Noted(clock.now() + 3_600_001 + nth, () => assert.fail("It is not due"));
    deadlines.keep(noted);
    deadlines.drop(noted);
  }
  assert.equal(timersSet, 1);
  assert.equal(deadlines.size, 1);
});

Deno.test("A clock that was set forward is noticed within a minute", async () => {
  const clock = fakeClock();
  let aheadMs = 0;
  const called: number[] = [];
  const deadlines = new Deadlines({ ...clock, now: () => clock.now() + aheadMs });
  deadlines.keep(new Noted(clock.now() + 3_600_000, () => called.push(clock.now())));
  aheadMs = 3_600_000;
  await clock.advance(60_000);
  assert.equal(called.length, 1);
});

Deno.test("One that throws keeps no other from its turn, and one that is kept anew gets another", async () => {
  const clock = fakeClock();
  const errors: unknown[] = [];
  const deadlines = new Deadlines({
    ...clock,
    setTimeout: (act, ms) =>
      clock.setTimeout(() => {
        try {
          act();
        } catch (error) {
          errors.push(error);
        }
      }, ms),
  });
  const fault = new Error("Broken");
  let turns = 0;
  deadlines.keep(
    new Noted(clock.now() + 1, () => {
      throw fault;
    }),
  );
  const again = new Noted(clock.now() + 1, (noted) => {
    if (++turns < 3) deadlines.keep(noted);
  });
  deadlines.keep(again);
  await clock.advance(10);
  assert.deepEqual(errors, [fault]);
  assert.equal(turns, 3);
  assert.equal(clock.timerCount, 0);
});
