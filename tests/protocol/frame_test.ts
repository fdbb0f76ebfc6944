// What goes out: the order of fields on the wire and JSON that is made once, whoever asks for it.
import assert from "node:assert/strict";
import { frameOf, frameText } from "../../src/protocol/frame.ts";
import type { ServerMessage } from "../../src/protocol/server_messages.ts";
import { alertOf, sampleAt } from "../support/samples.ts";

Deno.test("A frame's JSON is encoded at the first call only", () => {
  let encodings = 0;
  const message = {
    type: "alerts",
    alerts: [],
    toJSON: () => {
      encodings++;
      return { type: "alerts", alerts: [] };
    },
  } as const satisfies ServerMessage & { toJSON: () => unknown };
  const frame = frameOf(message);
  assert.equal(encodings, 0);
  assert.equal(frameText(frame), '{"type":"alerts","alerts":[]}');
  assert.equal(frameText(frame), '{"type":"alerts","alerts":[]}');
  assert.equal(encodings, 1);
});

Deno.test("A frame is plain data that can be cloned to another thread, before and after it is encoded", () => {
  const frame = frameOf({ type: "telemetry", device_id: "dev-1", data: sampleAt(1) });
  const before = structuredClone(frame);
  const text = frameText(frame);
  assert.equal(frameText(before), text);
  assert.equal(structuredClone(frame).text, text);
});

Deno.test("Text beyond ASCII, and what JSON must escape, comes out as it went in", () => {
  const summary = 'Zu warm: 40 °C "heiß"\n\\ 😀 \u2028';
  const text = frameText(frameOf({ type: "alerts", alerts: [alertOf(1, { summary })] }));
  assert.equal(JSON.parse(text).alerts[0].summary, summary);
});
