// Whatever text a client sends decodes to a message or to an error of the table, under an id that can be used; it must
// never throw, as nothing stands between it and the engine.
import assert from "node:assert/strict";
import fc from "fast-check";
import { MESSAGE_ERRORS } from "../../src/errors.ts";
import { ACTIONS } from "../../src/protocol/client_messages.ts";
import { decode } from "../../src/protocol/decode.ts";
import { mutateText, mutations } from "./mutation.ts";
import { holds } from "./seeded.ts";

const VALID = [
  '{"action":"subscribe","type":"device","device_id":"dev-1","id":7}',
  '{"action":"unsubscribe","type":"device","device_id":"Gerät-7 温度","id":"a"}',
  '{"action":"subscribe","type":"alerts"}',
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
    if ("device_id" in decoded.message) {
      const { device_id } = decoded.message;
      assert(device_id !== "" && device_id !== "*" && !/\p{Cc}/u.test(device_id));
      assert(new TextEncoder().encode(device_id).length <= 128);
    }
  } else {
    const { code, message } = decoded.error;
    assert(Object.hasOwn(MESSAGE_ERRORS, code), `code ${code}`);
    assert(typeof message === "string" && message !== "");
    assert(message.length < 300, "an error repeats what the client sent");
  }
  checkId(text, decoded.id);
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
  await holds(fc.property(fc.string({ unit: "binary", maxLength: 400 }), check), {
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
  const message = fc.record({
    action: field(...ACTIONS),
    type: field("device", "alerts"),
    device_id: fc.oneof(field("dev-1", "*", ""), fc.string({ unit: "binary", maxLength: 140 })),
    features: field(["notices"], Array(33).fill("x")),
    token: field("a.b.c"),
    id: field(1, "a", 1.5, "x".repeat(65), null),
  }, { requiredKeys: [] });
  await holds(fc.property(message, (value) => check(JSON.stringify(value))), { numRuns: 5_000 });
});
