// The forms of a message that its clients share, for as long as few enough are asked for.
import assert from "node:assert/strict";
import { MessageViews, metricsFilter } from "../../src/connections/message_views.ts";
import { frameOf, frameText } from "../../src/protocol/frame.ts";
import { sampleAt } from "../support/samples.ts";

function telemetry() {
  return frameOf({ type: "telemetry", device_id: "dev-1", data: sampleAt(-1, { a: 1, b: 2 }) });
}

Deno.test("Who chooses the same metrics shares a message, in whatever order they were named", () => {
  const views = new MessageViews();
  const frame = telemetry();
  const view = views.filtered(frame, metricsFilter(["a", "absent"]));
  assert.equal(views.filtered(frame, metricsFilter(["absent", "a", "a"])), view);
  assert.notEqual(views.filtered(telemetry(), metricsFilter(["a", "absent"])), view);
});

Deno.test("A client that chooses other metrics of a whole fleet each time fills no memory: 50,000 forms are kept", () => {
  const views = new MessageViews();
  const fleet = Array.from({ length: 1_000 }, () => telemetry());
  const [frame = telemetry()] = fleet;
  const filters = Array.from({ length: 51 }, (_, nth) => metricsFilter(["a", `absent-${nth}`]));
  const chosen = (nth: number) => views.filtered(frame, filters[nth] ?? metricsFilter([]));
  const first = chosen(0);
  for (const filter of filters.slice(0, 50)) for (const one of fleet) views.filtered(one, filter);
  assert.equal(chosen(0), first);
  chosen(50);
  const again = chosen(0);
  assert.notEqual(again, first, "the first was let go");
  assert(again !== null && first !== null);
  assert.equal(frameText(again), frameText(first));
  assert.equal(chosen(50), chosen(50));
});
