import assert from "node:assert/strict";
import { type HistoryForm, HistoryViews } from "../../src/connections/history_views.ts";
import { metricsFilter } from "../../src/connections/message_views.ts";
import { frameText } from "../../src/protocol/frame.ts";
import type { Sample } from "../../src/protocol/server_messages.ts";
import { sampleAt } from "../support/samples.ts";

const PLAIN: HistoryForm = {
  deviceId: "dev-1",
  isDone: true,
  metrics: null,
  id: null,
  asOf: null,
};

function pageOf(seconds: readonly number[]): Sample[] {
  return seconds.map((second) => sampleAt(second, { temp_c: second, name: "é" }));
}

function whole(page: readonly Sample[]) {
  return { page, start: 0, end: page.length };
}

Deno.test("The text of a history message is its message's JSON, whatever its form", () => {
  const views = new HistoryViews();
  const page = [...pageOf([-3, -2]), sampleAt(-1, { other: 1 })];
  const as_of = "2026-11-18T11:00:00.000Z";
  const name = { metrics: { name: "é" } };
  const forms: readonly [HistoryForm, Record<string, unknown>][] = [
    [PLAIN, { samples: page, done: true }],
    [{ ...PLAIN, id: 7 }, { samples: page, done: true, id: 7 }],
    [{ ...PLAIN, id: 'a"b', isDone: false }, { samples: page, done: false, id: 'a"b' }],
    [{ ...PLAIN, asOf: as_of }, { samples: page, done: true, as_of }],
    [{ ...PLAIN, id: 7, asOf: as_of }, { samples: page, done: true, id: 7, as_of }],
    [{ ...PLAIN, deviceId: 'dev-"1"' }, { samples: page, done: true }],
    [{ ...PLAIN, metrics: metricsFilter(["name"]) }, {
      samples: page.slice(0, 2).map((sample) => ({ ...sample, ...name })),
      done: true,
    }],
    [{ ...PLAIN, metrics: metricsFilter(["absent"]) }, { samples: [], done: true }],
  ];
  for (const [form, rest] of forms) {
    const frame = views.history(whole(page), form);
    const expected = { type: "history", device_id: form.deviceId, ...rest };
    assert.equal(frameText(frame), JSON.stringify(expected));
    assert.deepEqual(frame.message, expected);
  }
  const part = views.history({ page, start: 1, end: 2 }, { ...PLAIN, isDone: false });
  assert.equal(
    frameText(part),
    JSON.stringify({ type: "history", device_id: "dev-1", samples: [page[1]], done: false }),
  );
});

Deno.test("Who shares a page's samples and asks alike shares the message; other ids share its samples' JSON", () => {
  const views = new HistoryViews();
  let written = 0;
  const page = [{
    timestamp: sampleAt(-1).timestamp,
    get metrics() {
      written++;
      return { v: 1 };
    },
  }];
  const frame = views.history(whole(page), PLAIN);
  assert.equal(views.history(whole(page), { ...PLAIN }), frame);
  const frames = [1, 2, "r1"].map((id) => views.history(whole(page), { ...PLAIN, id }));
  assert.equal(new Set(frames.map(frameText)).size, 3);
  assert.equal(written, 1);
});

Deno.test("Samples of another read are another message, though device and form are the same", () => {
  const views = new HistoryViews();
  const first = views.history(whole(pageOf([-3])), PLAIN);
  const second = views.history(whole(pageOf([-2])), PLAIN);
  assert.notEqual(frameText(first), frameText(second));
  const empty: Sample[] = [];
  const none = views.history(whole(empty), PLAIN);
  const others = views.history(whole(empty), { ...PLAIN, deviceId: "dev-2" });
  assert.deepEqual(
    [none, others].map(({ message }) => message.type === "history" && message.device_id),
    ["dev-1", "dev-2"],
  );
});

Deno.test("A sample's telemetry message is the same for everybody who has missed it", () => {
  const views = new HistoryViews();
  const [sample] = pageOf([-1]) as [Sample];
  const frame = views.telemetry("dev-1", sample);
  assert.equal(views.telemetry("dev-1", sample), frame);
  assert.deepEqual(frame.message, { type: "telemetry", device_id: "dev-1", data: sample });
});
