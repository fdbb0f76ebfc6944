// One subscription that serves all listeners of a device.
import assert from "node:assert/strict";
import { earliest, type Needs, unionOf } from "../../src/client/device_needs.ts";
import { at, START_MS } from "./client_fixture.ts";

const latest: Needs = { mode: "latest", metrics: null, changesOnly: true };

Deno.test("every over latest, the union of metrics, and repeats where one wants them", () => {
  assert.deepEqual(
    unionOf([
      { mode: "latest", metrics: ["b", "c"], changesOnly: true },
      { mode: "every", metrics: ["a", "b"], changesOnly: false },
    ]),
    { mode: "every", metrics: ["a", "b", "c"], changesOnly: false },
  );
  assert.deepEqual(unionOf([{ ...latest, metrics: ["a"] }, latest]), latest);
});

Deno.test("more metrics than one subscription may name are all metrics", () => {
  const named = (from: number) => Array.from({ length: 60 }, (_, index) => `m${from + index}`);
  const union = unionOf([{ ...latest, metrics: named(0) }, { ...latest, metrics: named(100) }]);
  assert.equal(union.metrics, null);
});

Deno.test("the earliest start serves all, counted back by the service where no instant is known", () => {
  const now = START_MS + 1_000_000;
  assert.deepEqual(earliest([{ kind: "now" }], now), { kind: "now" });
  assert.deepEqual(
    earliest([{ kind: "now" }, { kind: "back", seconds: 5 }, { kind: "back", seconds: 900 }], now),
    { kind: "back", seconds: 900 },
  );
  assert.deepEqual(
    earliest([{ kind: "after", instant: at(990) }, { kind: "back", seconds: 60 }], now),
    { kind: "after", instant: at(940) },
  );
  assert.deepEqual(
    earliest([{ kind: "after", instant: at(900) }, { kind: "back", seconds: 60 }], now),
    { kind: "after", instant: at(900) },
  );
});
