// Whatever text a client sends decodes to a message or to an error of the table, under an id that can be used; it must
// never throw, as nothing stands between it and the engine.
import assert from "node:assert/strict";
import fc from "fast-check";
import { MESSAGE_ERRORS } from "../../src/errors.ts";
import { ACTIONS, type ClientMessage, devicesOf } from "../../src/protocol/client_messages.ts";
import { decode } from "../../src/protocol/decode.ts";
import { mutateText, mutations } from "./mutation.ts";
import { holds } from "./seeded.ts";

const VALID = [
  '{"action":"subscribe","type":"device","device_id":"dev-1","id":7}',
  '{"action":"unsubscribe","type":"device","device_id":"Gerät-7 温度","id":"a"}',
  '{"action":"subscribe","type":"device","device_id":"*","mode":"every","history_seconds":60}',
  '{"action":"subscribe","type":"device","device_ids":["a","b"],"metrics":["t"],"changes_only":true}',
  '{"action":"subscribe","type":"device","device_ids":["a"],"since":{"a":"2026-11-18T11:06:42.5Z"}}',
  '{"action":"subscribe","type":"device","device_id":"a","since":"2026-11-18T11:06:42Z",' +
  '"resolution_seconds":60}',
  '{"action":"unsubscribe","type":"device","device_ids":["a","b"]}',
  '{"action":"subscribe","type":"alerts"}',
  '{"action":"subscribe","type":"alerts","mode":"changes","since":"2026-11-18T11:06:42Z"}',
  '{"action":"subscribe","type":"alerts","device_ids":["a"]}',
  '{"action":"unsubscribe","type":"fleet"}',
  '{"action":"ping","id":-1}',
  '{"action":"hello","features":["notices","x"],"id":"x"}',
  '{"action":"auth","token":"a.b.c"}',
];
const SPLICES = [
  ...VALID,
  '"id":',
  '"id":{},',
  '"id":1e400,',
  '"id":9007199254740993,',
  `"id":"${"x".repeat(65)}",`,
  '"device_id":"*",',
  '"device_id":"\\ud800",',
  '"device_id":"\\u0000",',
  '"device_ids":["*"],',
  `"device_ids":${JSON.stringify(Array(600).fill("x"))},`,
  `"device_ids":[${Array.from({ length: 501 }, (_, index) => index)}],`,
  '"since":{"__proto__":"2026-11-18T11:06:42Z"},',
  '"since":{"__proto__":{"a":1},"constructor":"x"},',
  '"since":"+275760-09-13T00:00:00Z",',
  '"history_seconds":1e308,',
  '"history_seconds":-0,',
  '"resolution_seconds":1e-9,',
  '"metrics":{"length":1e9},',
  '"features":{"length":1e9},',
  '"__proto__":{"action":"ping"},',
  '"constructor":null,',
  '"action":"toString",',
  "[".repeat(5_000),
  "\u0000",
  "\ud800",
  "null",
];

function check(text: string): void {
  const decoded = decode(text);
  if (decoded.ok) {
    assert((ACTIONS as readonly string[]).includes(decoded.message.action));
    checkSubscription(decoded.message);
  } else {
    const { code, message } = decoded.error;
    assert(Object.hasOwn(MESSAGE_ERRORS, code), `code ${code}`);
    assert(typeof message === "string" && message !== "");
    assert(message.length < 300, "an error repeats what the client sent");
  }
  checkId(text, decoded.id);
}

/** Whatever was taken can be acted upon: ids that name devices, numbers and instants within their bounds. */
function checkSubscription(message: ClientMessage): void {
  if (message.action !== "subscribe" && message.action !== "unsubscribe") return;
  if (message.type === "fleet") return;
  if (message.type === "device") checkIds(devicesOf(message), "device_id" in message);
  if (message.action === "unsubscribe") return;
  assert.equal(typeof message.changes_only, "boolean");
  if (message.type === "alerts") {
    if (message.device_ids !== undefined) checkIds(message.device_ids, false);
    if (message.since !== undefined) checkInstant(message.since);
    assert(message.since === undefined || message.mode === "changes");
    return;
  }
  const { since, history_seconds, resolution_seconds, metrics } = message;
  if (typeof since === "string") checkInstant(since);
  if (typeof since === "object") {
    if (since.size > 0) checkIds([...since.keys()], false);
    for (const instant of since.values()) checkInstant(instant);
  }
  assert(since === undefined || history_seconds === undefined);
  if (history_seconds !== undefined) checkWhole(history_seconds, 1e9);
  if (resolution_seconds !== undefined) checkWhole(resolution_seconds, 90_000);
  if (metrics !== undefined) assert(metrics.length >= 1 && metrics.length <= 100);
}

function checkIds(ids: readonly string[], isAllAllowed: boolean): void {
  assert(ids.length >= 1 && ids.length <= 500 && new Set(ids).size === ids.length);
  for (const id of ids) {
    assert(typeof id === "string" && id !== "" && (isAllAllowed || id !== "*"));
    assert(!/\p{Cc}/u.test(id) && new TextEncoder().encode(id).length <= 128);
  }
}

function checkInstant(instant: string): void {
  assert.match(instant, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
}

function checkWhole(value: number, max: number): void {
  assert(Number.isInteger(value) && value >= 1 && value <= max);
}

/** An id comes back exactly when the text is an object with an id that may be one. */
function checkId(text: string, id: number | string | null): void {
  let sent: unknown;
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    sent = isObject ? (value as { id?: unknown }).id : undefined;
  } catch {
    sent = undefined;
  }
  const isUsable = typeof sent === "string" ? sent.length <= 64 : Number.isSafeInteger(sent);
  assert.deepEqual(id, isUsable ? sent : null);
}

Deno.test("Any text decodes to a message or an error of the table, under the id that it gave", async () => {
  await holds(fc.property(fc.string({ unit: "binary", maxLength: 400, size: "max" }), check), {
    numRuns: 2_000,
  });
});

Deno.test("Any JSON decodes to a message or an error of the table, under the id that it gave", async () => {
  await holds(fc.property(fc.json({ maxDepth: 4 }), check), { numRuns: 2_000 });
});

Deno.test("A damaged message decodes to a message or an error of the table, under the id that it gave", async () => {
  const damaged = fc.tuple(fc.constantFrom(...VALID), mutations(SPLICES));
  await holds(fc.property(damaged, ([text, steps]) => check(mutateText(text, steps))), {
    numRuns: 5_000,
  });
});

Deno.test("Any value in any field decodes to a message or an error of the table, under the id that it gave", async () => {
  const field = (...usual: readonly unknown[]) =>
    fc.oneof(fc.constantFrom(...usual), fc.jsonValue({ maxDepth: 2 }));
  const deviceId = fc.string({ unit: "binary", maxLength: 140, size: "max" });
  const AT = "2026-11-18T11:06:42.5+01:00";
  const message = fc.record({
    action: field(...ACTIONS),
    type: field("device", "alerts", "fleet"),
    device_id: fc.oneof(field("dev-1", "*", ""), deviceId),
    device_ids: fc.oneof(field(["dev-1"], ["dev-1", "*"], []), fc.array(deviceId)),
    metrics: fc.oneof(
      field(["temp_c"], [""]),
      fc.array(fc.string({ maxLength: 140, size: "max" })),
    ),
    changes_only: field(true, false),
    mode: field("latest", "every", "list", "changes"),
    since: fc.oneof(field(AT, { "dev-1": AT }), fc.dictionary(deviceId, fc.constantFrom(AT, "x"))),
    history_seconds: fc.oneof(field(1, 90_000, 0), fc.double(), fc.integer()),
    resolution_seconds: fc.oneof(field(1, 90_000, 90_001), fc.double()),
    features: field(["notices"], Array(33).fill("x")),
    token: field("a.b.c"),
    id: field(1, "a", 1.5, "x".repeat(65), null),
  }, { requiredKeys: [] });
  await holds(fc.property(message, (value) => check(JSON.stringify(value))), { numRuns: 5_000 });
});
