import assert from "node:assert/strict";
import { MessageViews } from "../../src/connections/message_views.ts";
import { Push } from "../../src/connections/push.ts";

Deno.test("What is new in a push is as old as its newest sample, whether states or samples brought it", () => {
  const at = (second: number) => Date.UTC(2026, 0, 1, 0, 0, second);
  const push = () =>
    new Push({ oldest: 0, tellsStale: false, isDated: false, views: new MessageViews() });
  const none = push();
  assert.equal(none.newestAt, -Infinity);
  none.noteAt(NaN);
  assert.equal(none.newestAt, -Infinity);
  const states = push();
  for (const second of [4, 9, 7]) states.noteAt(at(second));
  assert.equal(states.newestAt, at(9));
  const samples = push();
  for (const second of [4, 9, 7]) samples.note(`2026-01-01T00:00:0${second}.000000001Z`);
  assert.equal(samples.newestAt, at(9));
  samples.noteAt(at(8));
  assert.equal(samples.newestAt, at(9));
  samples.noteAt(at(10));
  assert.equal(samples.newestAt, at(10));
});
