// What a client may send and what it is told otherwise: every row, every odd input, and that decoding never throws.
import fc from "fast-check";
import assert from "node:assert/strict";
import { MESSAGE_ERRORS } from "../../src/errors.ts";
import { devicesOf } from "../../src/protocol/client_messages.ts";
import { decode } from "../../src/protocol/decode.ts";

const BOM = "\u{feff}";

function messageOf(text: string): unknown {
  const decoded = decode(text);
  assert(decoded.ok, `refused: ${decoded.ok ? "" : decoded.error.message}`);
  return decoded.message;
}

function deviceIdOf(text: string): unknown {
  return (messageOf(text) as { device_id: unknown }).device_id;
}

function errorOf(text: string): { code: string; message: string } {
  const decoded = decode(text);
  assert(!decoded.ok, `taken: ${text}`);
  return decoded.error;
}

function device(deviceId: unknown, action = "subscribe"): string {
  return JSON.stringify({ action, type: "device", device_id: deviceId });
}

Deno.test("A subscription that says nothing more is one of the core protocol", () => {
  const ofDevice = { action: "subscribe", type: "device", device_id: "dev-0001" };
  assert.deepEqual(messageOf(JSON.stringify(ofDevice)), {
    ...ofDevice,
    mode: "latest",
    changes_only: false,
  });
  const ofAlerts = { action: "subscribe", type: "alerts" };
  assert.deepEqual(messageOf(JSON.stringify(ofAlerts)), {
    ...ofAlerts,
    mode: "list",
    changes_only: false,
  });
});

Deno.test("Whatever can be followed can be left", () => {
  for (const followed of [{ type: "device", device_id: "a" }, { type: "alerts" }]) {
    const message = { action: "unsubscribe", ...followed };
    assert.deepEqual(messageOf(JSON.stringify(message)), message);
  }
});

Deno.test("Fields that nobody knows are ignored, so that newer clients can talk to older servers", () => {
  const text = '{"id":7,"action":"unsubscribe","since":[1],"type":"alerts","device_id":{},"x":1}';
  assert.deepEqual(messageOf(text), { action: "unsubscribe", type: "alerts" });
  const device = '{"action":"subscribe","type":"device","device_id":"a","replay":[1]}';
  assert(!Object.hasOwn(messageOf(device) as object, "replay"));
});

const NOT_JSON = [
  "",
  " ",
  "subscribe",
  "{",
  '{"action":"subscribe",}',
  "{'action':'subscribe'}",
  `${BOM}{"action":"subscribe","type":"alerts"}`,
  '{"action":"subscribe","type":"alerts"}{"action":"subscribe","type":"alerts"}',
  '{"action":"subscribe"\u0000}',
  "NaN",
  "undefined",
  "\ud800",
  "[".repeat(200_000),
];
for (const text of NOT_JSON) {
  Deno.test(`${JSON.stringify(text.slice(0, 60))} is not JSON`, () => {
    assert.deepEqual(errorOf(text), {
      code: "invalid_json",
      message: "Message is not valid JSON",
    });
  });
}

const ODD_MESSAGES: ReadonlyArray<readonly [text: string, code: string, message: string]> = [
  ["null", "invalid_message", "Message must be a JSON object, not null"],
  ["7", "invalid_message", "Message must be a JSON object, not a number"],
  ["1e999", "invalid_message", "Message must be a JSON object, not a number"],
  ["true", "invalid_message", "Message must be a JSON object, not a boolean"],
  ['"subscribe"', "invalid_message", "Message must be a JSON object, not a string"],
  ["[]", "invalid_message", "Message must be a JSON object, not an array"],
  ['[{"action":"subscribe"}]', "invalid_message", "Message must be a JSON object, not an array"],
  ["{}", "invalid_message", "action must be a string, not missing"],
  ['{"action":null}', "invalid_message", "action must be a string, not null"],
  ['{"action":1}', "invalid_message", "action must be a string, not a number"],
  ['{"action":["subscribe"]}', "invalid_message", "action must be a string, not an array"],
  ['{"action":{"a":1}}', "invalid_message", "action must be a string, not an object"],
  [
    '{"__proto__":{"action":"subscribe","type":"alerts"}}',
    "invalid_message",
    "action must be a string, not missing",
  ],
  ['{"action":""}', "unknown_action", MESSAGE_ERRORS.unknown_action.sentence],
  [
    '{"action":"Subscribe","type":"alerts"}',
    "unknown_action",
    MESSAGE_ERRORS.unknown_action.sentence,
  ],
  [
    '{"action":"toString","type":"alerts"}',
    "unknown_action",
    MESSAGE_ERRORS.unknown_action.sentence,
  ],
  [
    '{"action":"__proto__","type":"alerts"}',
    "unknown_action",
    MESSAGE_ERRORS.unknown_action.sentence,
  ],
  ['{"action":"constructor"}', "unknown_action", MESSAGE_ERRORS.unknown_action.sentence],
  ['{"action":"subscribe"}', "invalid_message", "type must be a string, not missing"],
  ['{"action":"subscribe","type":null}', "invalid_message", "type must be a string, not null"],
  ['{"action":"subscribe","type":5}', "invalid_message", "type must be a string, not a number"],
  ['{"action":"subscribe","type":"devices"}', "unknown_type", MESSAGE_ERRORS.unknown_type.sentence],
  [
    '{"action":"subscribe","type":"hasOwnProperty"}',
    "unknown_type",
    MESSAGE_ERRORS.unknown_type.sentence,
  ],
  [
    '{"action":"subscribe","type":"__proto__"}',
    "unknown_type",
    MESSAGE_ERRORS.unknown_type.sentence,
  ],
  [
    '{"action":"subscribe","action":"fly","type":"alerts"}',
    "unknown_action",
    MESSAGE_ERRORS.unknown_action.sentence,
  ],
];
for (const [text, code, message] of ODD_MESSAGES) {
  Deno.test(`${text} is answered with ${code}`, () => {
    assert.deepEqual(errorOf(text), { code, message });
  });
}

Deno.test("A device's message without a device id names what is missing", () => {
  for (const absent of ["", ',"device_id":null', ',"device_id":""']) {
    assert.deepEqual(errorOf(`{"action":"subscribe","type":"device"${absent}}`), {
      code: "device_id_required",
      message: "device_id required for device subscription",
    });
    assert.deepEqual(errorOf(`{"action":"unsubscribe","type":"device"${absent}}`), {
      code: "device_id_required",
      message: "device_id required for device unsubscription",
    });
  }
});

Deno.test("A device id of another kind is refused and its kind is named", () => {
  const kinds = [[7, "a number"], [true, "a boolean"], [["a"], "an array"], [{}, "an object"]];
  for (const action of ["subscribe", "unsubscribe"]) {
    for (const [deviceId, kind] of kinds) {
      assert.deepEqual(errorOf(device(deviceId, action)), {
        code: "invalid_device_id",
        message: `device_id must be a string, not ${kind}`,
      });
    }
  }
});

Deno.test("A device id may have 128 bytes of UTF-8 and not one more", () => {
  const longest = ["a".repeat(128), "ä".repeat(64), "€".repeat(42) + "ab", "😀".repeat(32)];
  for (const deviceId of longest) {
    assert.equal(deviceIdOf(device(deviceId)), deviceId);
    assert.deepEqual(errorOf(device(`${deviceId}b`)), {
      code: "invalid_device_id",
      message: "device_id must be at most 128 bytes of UTF-8",
      limit: "device_id_bytes",
    });
  }
  assert.equal(errorOf(device("x".repeat(5_000_000))).code, "invalid_device_id");
});

Deno.test("Control characters name no device", () => {
  for (const code of [0, 9, 10, 13, 27, 31, 127, 128, 133, 159]) {
    assert.deepEqual(errorOf(device(`dev${String.fromCharCode(code)}1`)), {
      code: "invalid_device_id",
      message: "device_id must not contain control characters",
    });
  }
});

Deno.test("Lone surrogates name no device", () => {
  for (const lone of ["\\ud800", "\\udc00", "dev-\\udfff", "\\ud83dx"]) {
    assert.deepEqual(errorOf(`{"action":"subscribe","type":"device","device_id":"${lone}"}`), {
      code: "invalid_device_id",
      message: "device_id must be well-formed Unicode",
    });
  }
});

Deno.test('"*" stands for every device, and only all by itself', () => {
  for (const deviceId of ["*", "**"]) assert.equal(deviceIdOf(device(deviceId)), deviceId);
});

Deno.test("Whatever else names a device is taken as it stands", () => {
  for (
    const deviceId of [" ", "__proto__", "' OR 1=1 --", '"', "\\", "$d0", "{tenant}", "设备-1"]
  ) {
    assert.equal(deviceIdOf(device(deviceId)), deviceId);
  }
});

Deno.test("Of a member named twice the last one counts, as JSON.parse has it", () => {
  const text = '{"action":"subscribe","type":"device","device_id":"a","device_id":"b"}';
  assert.equal(deviceIdOf(text), "b");
});

const CODES = new Set<string>(Object.keys(MESSAGE_ERRORS));

/** A message, or an error of the table with a sentence that can be sent; nothing else may come out. */
function assertDecodes(text: string): void {
  const decoded = decode(text);
  if (decoded.ok) {
    const { message } = decoded;
    const { action } = message;
    if (action !== "subscribe" && action !== "unsubscribe") {
      assert(action === "ping" || action === "hello" || action === "auth");
      return;
    }
    if (message.type !== "device") {
      assert(message.type === "alerts" || message.type === "fleet");
      return;
    }
    const ids = devicesOf(message);
    assert(ids.length >= 1 && ids.length <= 500 && new Set(ids).size === ids.length);
    for (const id of ids) {
      const bytes = new TextEncoder().encode(id).length;
      assert(bytes > 0 && bytes <= 128 && id.isWellFormed());
      assert(id !== "*" || "device_id" in message);
    }
  } else {
    assert(CODES.has(decoded.error.code));
    assert(decoded.error.code !== "internal");
    assert.match(decoded.error.message, /^\S.{5,119}[^.\s]$/);
  }
}

Deno.test("Any text decodes to a message or to an error of the table", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), assertDecodes), { numRuns: 300 });
  fc.assert(fc.property(fc.json(), assertDecodes), { numRuns: 300 });
});

Deno.test("Any message that is nearly right decodes to a message or to an error of the table", () => {
  const word = fc.constantFrom(
    "subscribe",
    "unsubscribe",
    "device",
    "alerts",
    "*",
    "",
    "__proto__",
  );
  const value = fc.oneof(
    { weight: 3, arbitrary: word },
    fc.string({ unit: "binary", maxLength: 200, size: "max" }),
    fc.jsonValue(),
  );
  const nearly = fc.record({
    action: fc.oneof({ weight: 4, arbitrary: fc.constantFrom("subscribe", "unsubscribe") }, value),
    type: fc.oneof({ weight: 4, arbitrary: fc.constantFrom("device", "alerts", "fleet") }, value),
    device_id: value,
    device_ids: fc.oneof(fc.array(value, { maxLength: 3 }), value),
    since: fc.oneof(fc.dictionary(word, value), value),
    mode: fc.oneof(fc.constantFrom("latest", "every", "list", "changes"), value),
    extra: value,
  }, { requiredKeys: [] });
  let taken = 0;
  fc.assert(
    fc.property(nearly, (message) => {
      const text = JSON.stringify(message);
      assertDecodes(text);
      if (decode(text).ok) taken++;
    }),
    { numRuns: 2_000 },
  );
  assert(taken > 100, `only ${taken} of the messages were taken: the property says little`);
});
