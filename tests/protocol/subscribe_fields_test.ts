// What a subscription may say beyond the core protocol, and what is said to one that says it wrongly.
import assert from "node:assert/strict";
import { FEATURES } from "../../src/protocol/client_messages.ts";
import { decode } from "../../src/protocol/decode.ts";

type Fields = Readonly<Record<string, unknown>>;

const AT = "2026-11-18T11:06:42.5Z";
const AT_NINE = "2026-11-18T11:06:42.500000000Z";

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `dev-${index}`);
}

function ofDevice(fields: Fields): string {
  return JSON.stringify({ action: "subscribe", type: "device", ...fields });
}

function ofAlerts(fields: Fields): string {
  return JSON.stringify({ action: "subscribe", type: "alerts", ...fields });
}

/** What a test's name can show. */
function shortly(fields: Fields): string {
  return JSON.stringify(fields).slice(0, 80).replace(/[^ -~]/g, "?");
}

function messageOf(text: string): Fields {
  const decoded = decode(text);
  assert(decoded.ok, `refused: ${decoded.ok ? "" : decoded.error.message}`);
  return { ...decoded.message };
}

function errorOf(text: string, maxDeviceIdBytes = 128): Fields {
  const decoded = decode(text, { maxDeviceIdBytes });
  assert(!decoded.ok, `taken: ${text}`);
  return { ...decoded.error };
}

Deno.test("A list of devices stands in the place of one, each of them once", () => {
  for (const action of ["subscribe", "unsubscribe"]) {
    const text = ofDevice({ action, device_ids: ["b", "a", "b", "__proto__"] });
    const message = messageOf(text);
    assert.deepEqual(message.device_ids, ["b", "a", "__proto__"]);
    assert(!Object.hasOwn(message, "device_id"));
    // As serializers write what is not there.
    assert.deepEqual(messageOf(ofDevice({ action, device_id: null, device_ids: ["a"] })), {
      ...messageOf(ofDevice({ action, device_ids: ["a"] })),
    });
  }
});

Deno.test("A message names up to 500 devices, the same one any number of times", () => {
  const most = names(500);
  assert.deepEqual(messageOf(ofDevice({ device_ids: [...most, ...most] })).device_ids, most);
  assert.deepEqual(messageOf(ofAlerts({ device_ids: most })).device_ids, most);
  for (const text of [ofDevice({ device_ids: names(501) }), ofAlerts({ device_ids: names(501) })]) {
    assert.deepEqual(errorOf(text), {
      code: "invalid_message",
      message: "device_ids must hold 1 to 500 devices, not 501",
    });
  }
});

Deno.test("Every field of a device's subscription is taken, with instants in nine digits of UTC", () => {
  const fields = {
    device_ids: ["a", "b"],
    metrics: ["temp_c", "x".repeat(128), "temp_c"],
    changes_only: true,
    mode: "every",
    since: { b: "2026-11-18t12:06:42.5+01:00" },
    resolution_seconds: 90_000,
  };
  assert.deepEqual(messageOf(ofDevice(fields)), {
    action: "subscribe",
    type: "device",
    ...fields,
    metrics: ["temp_c", "x".repeat(128)],
    since: new Map([["b", AT_NINE]]),
  });
  assert.equal(messageOf(ofDevice({ device_id: "a", since: AT })).since, AT_NINE);
  assert.equal(messageOf(ofDevice({ device_id: "a", history_seconds: 1 })).history_seconds, 1);
});

Deno.test("An object of instants is read by its own members, whatever they are called", () => {
  const text = `{"action":"subscribe","type":"device","device_ids":["__proto__","constructor"],
    "since":{"__proto__":"${AT}"}}`;
  const { since } = messageOf(text);
  assert.deepEqual(since, new Map([["__proto__", AT_NINE]]));
  assert.deepEqual(messageOf(ofDevice({ device_id: "a", since: {} })).since, new Map());
});

Deno.test("Who follows every device may name any of them in since, up to 500", () => {
  const most = Object.fromEntries(names(500).map((name) => [name, AT]));
  const { since } = messageOf(ofDevice({ device_id: "*", since: most }));
  assert.deepEqual(since, new Map(names(500).map((name) => [name, AT_NINE])));
  assert.deepEqual(errorOf(ofDevice({ device_id: "*", since: { ...most, more: AT } })), {
    code: "invalid_message",
    message: "since must name at most 500 devices, not 501",
  });
});

Deno.test("History longer than any is no error, and never a number that no date can bear", () => {
  for (const seconds of [1e9, Number.MAX_SAFE_INTEGER, 1e300]) {
    const message = messageOf(ofDevice({ device_id: "a", history_seconds: seconds }));
    assert.equal(message.history_seconds, 1e9);
  }
});

Deno.test("Alerts are followed as a list or by what changed, which is only sent when it did", () => {
  const list = { mode: "list", device_ids: ["a"], changes_only: true };
  assert.deepEqual(messageOf(ofAlerts(list)), { action: "subscribe", type: "alerts", ...list });
  for (const changes_only of [undefined, false, true]) {
    assert.deepEqual(messageOf(ofAlerts({ mode: "changes", changes_only, since: AT })), {
      action: "subscribe",
      type: "alerts",
      mode: "changes",
      changes_only: true,
      since: AT_NINE,
    });
  }
});

Deno.test("The fleet is followed and left without any option", () => {
  for (const action of ["subscribe", "unsubscribe"]) {
    const message = { action, type: "fleet" };
    assert.deepEqual(messageOf(JSON.stringify({ ...message, device_id: {}, mode: 7 })), message);
  }
});

Deno.test("Unsubscribing heeds nothing but the devices", () => {
  const fields = { action: "unsubscribe", device_id: "*", since: 7, mode: null, metrics: {} };
  assert.deepEqual(messageOf(ofDevice(fields)), {
    action: "unsubscribe",
    type: "device",
    device_id: "*",
  });
});

Deno.test("The features are the notices, batches and dates", () => {
  assert.deepEqual(FEATURES, ["notices", "batch", "as_of"]);
});

const EITHER = "Send either device_id or device_ids, not both";
const NO_INSTANT = "since must be an instant such as 2026-11-18T11:06:42.5Z";

const REFUSED_FIELDS: ReadonlyArray<readonly [fields: Fields, code: string, message: string]> = [
  [{ device_id: "a", device_ids: ["a"] }, "invalid_message", EITHER],
  [{ device_id: "*", device_ids: ["a"] }, "invalid_message", EITHER],
  [
    { device_id: "", device_ids: ["a"] },
    "invalid_device_id",
    "device_id must not be empty",
  ],
  [
    { device_ids: null },
    "invalid_message",
    "device_ids must be a list of device ids, not null",
  ],
  [
    { device_ids: { length: 1 } },
    "invalid_message",
    "device_ids must be a list of device ids, not an object",
  ],
  [{ device_ids: [] }, "invalid_message", "device_ids must hold 1 to 500 devices, not 0"],
  [{ device_ids: ["a", ""] }, "invalid_device_id", "Each of device_ids must not be empty"],
  [
    { device_ids: ["a", null] },
    "invalid_device_id",
    "Each of device_ids must be a string, not null",
  ],
  [
    { device_ids: ["a", "*"] },
    "invalid_device_id",
    'Each of device_ids must not be "*", which is reserved',
  ],
  [
    { device_ids: ["a\u0085"] },
    "invalid_device_id",
    "Each of device_ids must not contain control characters",
  ],
  [
    { device_ids: ["a\udc00"] },
    "invalid_device_id",
    "Each of device_ids must be well-formed Unicode",
  ],
  [{ metrics: "temp_c" }, "invalid_message", "metrics must be a list of names, not a string"],
  [{ metrics: [] }, "invalid_message", "metrics must hold 1 to 100 names, not 0"],
  [{ metrics: names(101) }, "invalid_message", "metrics must hold 1 to 100 names, not 101"],
  [{ metrics: ["a", 7] }, "invalid_message", "Each of metrics must be a string, not a number"],
  [
    { metrics: [""] },
    "invalid_message",
    "Each of metrics must have 1 to 128 bytes of UTF-8",
  ],
  [
    { metrics: ["ä".repeat(65)] },
    "invalid_message",
    "Each of metrics must have 1 to 128 bytes of UTF-8",
  ],
  [{ changes_only: 1 }, "invalid_message", "changes_only must be true or false, not 1"],
  [{ changes_only: null }, "invalid_message", "changes_only must be true or false, not null"],
  [{ mode: "changes" }, "invalid_message", 'mode must be "latest" or "every", not "changes"'],
  [{ mode: ["every"] }, "invalid_message", 'mode must be "latest" or "every", not an array'],
  [
    { mode: "e\n\u2028\ud800".repeat(1_000) },
    "invalid_message",
    `mode must be "latest" or "every", not "${"e  \ufffd".repeat(6)}…"`,
  ],
  [{ since: null }, "invalid_message", `${NO_INSTANT}, or one for each device, not null`],
  [
    { since: 1_795_000_000 },
    "invalid_message",
    `${NO_INSTANT}, or one for each device, not 1795000000`,
  ],
  [{ since: [AT] }, "invalid_message", `${NO_INSTANT}, or one for each device, not an array`],
  [
    { since: "2026-02-30T00:00:00Z" },
    "invalid_message",
    `${NO_INSTANT}, or one for each device, not "2026-02-30T00:00:00Z"`,
  ],
  [
    { since: "2026-11-18T11:06:42.0123456789Z" },
    "invalid_message",
    `${NO_INSTANT}, or one for each device, not "2026-11-18T11:06:42.0123…"`,
  ],
  [
    { since: { "dev-1": "now" } },
    "invalid_message",
    'since of "dev-1" must be an instant such as 2026-11-18T11:06:42.5Z, not "now"',
  ],
  [
    { since: { "dev-1": null } },
    "invalid_message",
    'since of "dev-1" must be an instant such as 2026-11-18T11:06:42.5Z, not null',
  ],
  [
    { since: { "dev-1": AT, "dev-2": AT } },
    "invalid_message",
    'since must name devices of this message, not "dev-2"',
  ],
  [
    { since: { "*": AT } },
    "invalid_device_id",
    'Each device in since must not be "*", which is reserved',
  ],
  [
    { device_id: "*", since: { "\u0000": AT } },
    "invalid_device_id",
    "Each device in since must not contain control characters",
  ],
  [
    { history_seconds: 0 },
    "invalid_message",
    "history_seconds must be a whole number of at least 1, not 0",
  ],
  [
    { history_seconds: "60" },
    "invalid_message",
    'history_seconds must be a whole number of at least 1, not "60"',
  ],
  [
    { since: AT, history_seconds: 60 },
    "invalid_message",
    "Send either since or history_seconds, not both",
  ],
  [
    { history_seconds: 60, resolution_seconds: 90_001 },
    "invalid_message",
    "resolution_seconds must be a whole number from 1 to 90000, not 90001",
  ],
  [
    { history_seconds: 60, resolution_seconds: 0.5 },
    "invalid_message",
    "resolution_seconds must be a whole number from 1 to 90000, not 0.5",
  ],
  [
    { resolution_seconds: 60 },
    "invalid_message",
    "resolution_seconds must come with since or history_seconds",
  ],
];
for (const [fields, code, message] of REFUSED_FIELDS) {
  Deno.test(`A device's subscription with ${shortly(fields)} is refused`, () => {
    const target = Object.hasOwn(fields, "device_ids") ? {} : { device_id: "dev-1" };
    assert.deepEqual(errorOf(ofDevice({ ...target, ...fields })), { code, message });
  });
}

const REFUSED_OF_ALERTS: typeof REFUSED_FIELDS = [
  [{ mode: "every" }, "invalid_message", 'mode must be "list" or "changes", not "every"'],
  [{ changes_only: "yes" }, "invalid_message", 'changes_only must be true or false, not "yes"'],
  [
    { device_ids: ["*"] },
    "invalid_device_id",
    'Each of device_ids must not be "*", which is reserved',
  ],
  [{ device_ids: [] }, "invalid_message", "device_ids must hold 1 to 500 devices, not 0"],
  [{ since: AT }, "invalid_message", 'since of alerts must come with mode "changes"'],
  [{ since: AT, mode: "list" }, "invalid_message", 'since of alerts must come with mode "changes"'],
  [{ since: { a: AT }, mode: "changes" }, "invalid_message", `${NO_INSTANT}, not an object`],
];
for (const [fields, code, message] of REFUSED_OF_ALERTS) {
  Deno.test(`A subscription to alerts with ${shortly(fields)} is refused`, () => {
    assert.deepEqual(errorOf(ofAlerts(fields)), { code, message });
  });
}

Deno.test("A device id is bounded in every place that holds one, and before all else", () => {
  const tooLong = "d".repeat(33);
  const places: ReadonlyArray<readonly [text: string, name: string]> = [
    [ofDevice({ device_id: tooLong, mode: 7 }), "device_id"],
    [ofDevice({ device_ids: ["a", tooLong], mode: 7 }), "Each of device_ids"],
    [ofDevice({ device_id: "*", since: { [tooLong]: 7 } }), "Each device in since"],
    [ofDevice({ action: "unsubscribe", device_id: tooLong }), "device_id"],
    [ofDevice({ action: "unsubscribe", device_ids: [tooLong] }), "Each of device_ids"],
    [ofAlerts({ device_ids: [tooLong], mode: 7 }), "Each of device_ids"],
  ];
  for (const [text, name] of places) {
    assert.deepEqual(errorOf(text, 32), {
      code: "invalid_device_id",
      message: `${name} must be at most 32 bytes of UTF-8`,
      limit: "device_id_bytes",
    });
    const fitting = text.replace(tooLong, "d".repeat(32));
    const decoded = decode(fitting, { maxDeviceIdBytes: 32 });
    assert(decoded.ok || decoded.error.limit === undefined, `still refused: ${fitting}`);
  }
});

Deno.test("A device id that nobody heeds bounds nothing", () => {
  const tooLong = "d".repeat(200);
  for (
    const text of [
      ofAlerts({ device_id: tooLong, since: undefined }),
      ofAlerts({ action: "unsubscribe", device_ids: [tooLong] }),
      ofDevice({ action: "unsubscribe", device_id: "a", since: { [tooLong]: AT } }),
      JSON.stringify({ action: "subscribe", type: "fleet", device_ids: [tooLong] }),
    ]
  ) assert(decode(text).ok, text);
});
