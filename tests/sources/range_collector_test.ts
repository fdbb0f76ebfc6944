// What a range makes of rows that no writer should have written: equal instants, strangers, rows out of order.
import assert from "node:assert/strict";
import { RangeCollector } from "../../src/sources/range_collector.ts";

function at(second: number): string {
  return `2026-11-18T11:00:${String(second).padStart(2, "0")}.000000000Z`;
}

const options = {
  deviceIds: ["dev-1"],
  maxSamples: 2,
  order: "ascending",
  resolutionSeconds: null,
} as const;

Deno.test("Two rows of one instant are one sample, in which the first row's values stay", () => {
  const collector = new RangeCollector(options);
  collector.add("dev-1", { timestamp: at(1), metrics: { a: 1, b: 1 } });
  collector.add("dev-1", { timestamp: at(1), metrics: { b: 2, c: 2 } });
  const { samples, truncated } = collector.result();
  assert.deepEqual(samples.get("dev-1"), [{ timestamp: at(1), metrics: { a: 1, b: 1, c: 2 } }]);
  assert.equal(truncated.size, 0);
});

Deno.test("A device with more rows than samples allowed is cut before the instant whose other rows may be missing", () => {
  for (const order of ["ascending", "descending"] as const) {
    const collector = new RangeCollector({ ...options, order });
    const seconds = order === "ascending" ? [1, 1, 2] : [2, 2, 1];
    for (const second of seconds) {
      collector.add("dev-1", { timestamp: at(second), metrics: { second } });
    }
    const { samples, truncated } = collector.result();
    assert.deepEqual(samples.get("dev-1")?.map(({ timestamp }) => timestamp), [
      at(seconds[0] ?? 0),
    ]);
    assert.deepEqual([...truncated], ["dev-1"]);
  }
});

Deno.test("A device with more rows of one instant than samples allowed has that instant", () => {
  const collector = new RangeCollector(options);
  for (const name of ["a", "b", "c"]) {
    collector.add("dev-1", { timestamp: at(1), metrics: { [name]: 1 } });
  }
  const { samples } = collector.result();
  assert.deepEqual(samples.get("dev-1"), [{ timestamp: at(1), metrics: { c: 1, b: 1, a: 1 } }]);
});

Deno.test("Rows are put in order whichever way they came, and strangers are left out", () => {
  for (const order of ["ascending", "descending"] as const) {
    const collector = new RangeCollector({ ...options, order, maxSamples: 3 });
    for (const second of [2, 3, 1, 4]) {
      collector.add("dev-1", { timestamp: at(second), metrics: {} });
      collector.add("stranger", { timestamp: at(second), metrics: {} });
    }
    collector.fail("stranger", "No matter");
    const { samples, unreadable } = collector.result();
    assert.deepEqual([...samples.keys()], ["dev-1"]);
    const expected = order === "ascending" ? [1, 2, 3] : [4, 3, 2];
    assert.deepEqual(samples.get("dev-1")?.map(({ timestamp }) => timestamp), expected.map(at));
    assert.equal(unreadable.size, 0);
  }
});

Deno.test("The first reason why a device can't be read stays, and a window without metrics is none", () => {
  const collector = new RangeCollector({ ...options, resolutionSeconds: 60 });
  collector.add("dev-1", { timestamp: at(31), metrics: {} });
  collector.add("dev-1", { timestamp: at(31), metrics: { v: 1 } });
  collector.fail("dev-1", "First");
  collector.fail("dev-1", "Second");
  const { samples, unreadable } = collector.result();
  assert.deepEqual(samples.get("dev-1"), [{ timestamp: at(0), metrics: { v: 1 } }]);
  assert.equal(unreadable.get("dev-1"), "First");
});
