// What one listener has of one device: nothing twice, nothing skipped, and little memory.
import assert from "node:assert/strict";
import fc from "fast-check";
import { SampleWindow } from "../../src/client/sample_window.ts";
import { at } from "./client_fixture.ts";

Deno.test("a resume goes back from the newest sample by what may come late", () => {
  const window = new SampleWindow(10_000);
  assert.equal(window.floor, null);
  window.note(at(100, "123456789"), at(101));
  assert.equal(window.floor, at(90, "123456789"));
});

Deno.test("a device whose clock is ahead is resumed from the read that brought it", () => {
  const window = new SampleWindow(10_000);
  window.note(at(150), at(101));
  assert.equal(window.floor, at(91));
});

Deno.test("history that was cut off is resumed from what came of it, though a sample ahead is known", () => {
  const window = new SampleWindow(10_000);
  window.note(at(150), at(100));
  window.hold(null);
  window.note(at(105), at(300));
  window.note(at(120), at(300));
  assert.equal(window.floor, at(110));
  window.hold(null);
  assert.equal(window.has(at(121)), false);
  assert.equal(window.has(at(120)), true);
  assert.equal(window.has(at(109)), true);
});

Deno.test("a resume never goes back behind the one before it", () => {
  const window = new SampleWindow(10_000);
  window.note(at(100), at(100));
  window.hold(null);
  window.note(at(95), at(300));
  assert.equal(window.floor, at(90));
});

Deno.test("history that ends in a sample ahead is resumed from the read that brought it", () => {
  const window = new SampleWindow(10_000);
  window.hold(at(50));
  window.note(at(150), at(100));
  assert.equal(window.floor, at(90));
});

Deno.test("while history comes, what is not later than its limit is not wanted", () => {
  const window = new SampleWindow(10_000);
  window.hold(at(50));
  assert.equal(window.has(at(50)), true);
  assert.equal(window.has(at(50, "000000001")), false);
  window.release();
  assert.equal(window.has(at(50)), false);
});

Deno.test("each stored sample is given once, in whatever pieces and repeats it comes", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 0, max: 400 }), {
        minLength: 1,
        maxLength: 60,
        size: "max",
      }),
      fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 6 }),
      (seconds, cuts) => {
        const stored = seconds.toSorted((one, other) => one - other);
        const window = new SampleWindow(10_000);
        const given: number[] = [];
        const take = (second: number, readAt: number) => {
          if (window.has(at(second))) return;
          given.push(second);
          window.note(at(second), at(readAt));
        };
        // At each cut the client was away; it asks from its floor, and the connection ends in the middle of the answer.
        for (const cut of [...cuts, stored.length]) {
          const { floor } = window;
          window.hold(null);
          const due = stored.filter((second) => floor === null || at(second) > floor);
          for (const second of due.slice(0, cut)) take(second, 500);
          if (cut >= due.length) window.release();
        }
        assert.deepEqual(given, stored);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("a window that lives for days holds no more than what may come again", () => {
  const window = new SampleWindow(10_000);
  const found: number[] = [];
  for (let second = 0; second < 20_000; second++) window.note(at(second), at(second));
  for (let second = 0; second < 20_000; second++) if (window.has(at(second))) found.push(second);
  assert.ok(found.length < 200, `${found.length} are kept`);
  assert.ok(found.length >= 10);
});
