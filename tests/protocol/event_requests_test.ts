// What the query of an event stream is read as, by itself: the subscriptions that it stands for, and whose fault it is
// where it stands for none.
import assert from "node:assert/strict";
import { parseEventsRequest } from "../../src/protocol/event_requests.ts";

const ID = "2026-11-18T11:00:00.000000001Z";
const OTHER_ID = "2026-11-18T12:00:00.000000000Z";

function parse(query: string, { lastEventId = null, maxDeviceIdBytes = 128 }: {
  readonly lastEventId?: string | null;
  readonly maxDeviceIdBytes?: number;
} = {}) {
  return parseEventsRequest(new URLSearchParams(query), { lastEventId, maxDeviceIdBytes });
}

function asked(query: string, lastEventId: string | null = null): unknown[] {
  const parsed = parse(query, { lastEventId });
  assert(parsed.ok, JSON.stringify(parsed));
  return parsed.request.messages.map((text) => JSON.parse(text));
}

const DEVICES = { action: "subscribe", type: "device" };
const ALERTS = { action: "subscribe", type: "alerts" };
const READ_AS: ReadonlyArray<readonly [query: string, messages: readonly object[]]> = [
  ["device_id=a", [{ ...DEVICES, device_ids: ["a"] }]],
  ["device_id=a&device_id=b&device_id=a", [{ ...DEVICES, device_ids: ["a", "b"] }]],
  ["device_id=*", [{ ...DEVICES, device_id: "*" }]],
  ["device_id=%3Fx%26y%3D1", [{ ...DEVICES, device_ids: ["?x&y=1"] }]],
  [
    "device_id=a&metrics=t&metrics=u%2Cv&mode=every&changes_only=1",
    [{ ...DEVICES, device_ids: ["a"], metrics: ["t", "u,v"], mode: "every", changes_only: true }],
  ],
  ["device_id=a&changes_only=0", [{ ...DEVICES, device_ids: ["a"] }]],
  [
    "device_id=a&history_seconds=60&resolution_seconds=5",
    [{ ...DEVICES, device_ids: ["a"], history_seconds: 60, resolution_seconds: 5 }],
  ],
  [`device_id=a&since=${ID}`, [{ ...DEVICES, device_ids: ["a"], since: ID }]],
  ["alerts=1", [ALERTS]],
  ["alerts=1&alerts_mode=changes", [{ ...ALERTS, mode: "changes" }]],
  ["alerts=0&fleet=1", [{ action: "subscribe", type: "fleet" }]],
  [
    "fleet=1&alerts=1&device_id=a&token=x&ticket=y",
    [{ ...DEVICES, device_ids: ["a"] }, ALERTS, { action: "subscribe", type: "fleet" }],
  ],
];

for (const [query, messages] of READ_AS) {
  Deno.test(`?${query} is read as what a socket's client would send`, () => {
    assert.deepEqual(asked(query), messages);
  });
}

Deno.test("Who comes back goes on where it was, and not where its address began", () => {
  for (
    const past of [
      "",
      `&since=${OTHER_ID}`,
      "&history_seconds=9",
      "&history_seconds=9&resolution_seconds=1",
    ]
  ) {
    assert.deepEqual(asked(`device_id=a&mode=every${past}`, ID), [
      { ...DEVICES, device_ids: ["a"], mode: "every", since: ID },
    ]);
  }
  assert.deepEqual(asked("alerts=1&alerts_mode=changes", ID), [
    { ...ALERTS, mode: "changes", since: ID },
  ]);
  // A list says everything.
  assert.deepEqual(asked("alerts=1", ID), [ALERTS]);
});

Deno.test("The header counts before the query, an empty one for none", () => {
  const resumed = [{ ...DEVICES, device_ids: ["a"], since: ID }];
  assert.deepEqual(asked(`device_id=a&last_event_id=${ID}`), resumed);
  assert.deepEqual(asked(`device_id=a&last_event_id=${ID}`, ""), resumed);
  assert.deepEqual(asked(`device_id=a&last_event_id=${OTHER_ID}`, ID), resumed);
  assert.deepEqual(asked("device_id=a&last_event_id=", ""), [{ ...DEVICES, device_ids: ["a"] }]);
});

const LONG = "x".repeat(5_000);
const REFUSED: ReadonlyArray<readonly [query: string, parameter: string, message: RegExp]> = [
  ["", "device_id", /^Ask for/],
  ["alerts=0", "device_id", /^Ask for/],
  ["device_id=", "device_id", /^Each of device_id must not be empty$/],
  ["device_id=a&device_id=*", "device_id", /\* alone/],
  ["alerts=2", "alerts", /^alerts must be 0 or 1$/],
  ["alerts=1&alerts=1", "alerts", /^alerts must be given once$/],
  ["device_id=a&mode=x", "mode", /^mode must be "latest" or "every", not "x"$/],
  ["device_id=a&mode=since", "mode", /^mode must be/],
  ["device_id=a&metrics=", "metrics", /^Each of metrics/],
  ["device_id=a&since=mode", "since", /^since must be an instant/],
  ["device_id=a&history_seconds=0", "history_seconds", /whole number/],
  ["device_id=a&history_seconds=1e3", "history_seconds", /whole number/],
  ["device_id=a&resolution_seconds=1", "resolution_seconds", /must come with since/],
  [`device_id=a&since=${ID}&history_seconds=1`, "since", /^Send either since/],
  ["alerts=1&alerts_mode=x", "alerts_mode", /^alerts_mode must be "list" or "changes", not "x"$/],
  ["fleet=1&alerts_mode=list", "alerts_mode", /^alerts_mode must come with alerts=1$/],
  ["alerts=1&mode=every", "mode", /^mode must come with device_id$/],
  ["alerts=1&metrics=a", "metrics", /^metrics must come with device_id$/],
  ["fleet=1&changes_only=1", "changes_only", /^changes_only must come with device_id or alerts=1$/],
  ["fleet=1&alerts=0&changes_only=1", "changes_only", /must come with/],
  ["device_id=a&last_event_id=7", "last_event_id", /an id that this stream sent/],
  ["device_id=a&__proto__=1", "__proto__", /^__proto__ is not a parameter/],
  [`device_id=a&${LONG}=1`, `${"x".repeat(64)}…`, /is not a parameter/],
];

for (const [query, parameter, message] of REFUSED) {
  const shown = query.length > 80 ? `${query.slice(0, 80)}…` : query;
  Deno.test(`?${shown} is refused for ${parameter.slice(0, 20)}`, () => {
    const parsed = parse(query);
    assert(!parsed.ok);
    assert.equal(parsed.error.parameter, parameter);
    assert.match(parsed.error.message, message);
    assert(parsed.error.message.length < 200);
  });
}

Deno.test("A device id that is none has a code of its own, and one that is too long names the limit", () => {
  for (const query of ["device_id=", "device_id=a%00b", `device_id=${"x".repeat(129)}`]) {
    const parsed = parse(query);
    assert(!parsed.ok);
    assert.equal(parsed.error.code, "invalid_device_id");
  }
  const long = parse("device_id=abcd", { maxDeviceIdBytes: 3 });
  assert(!long.ok);
  assert.equal(long.error.limit, "device_id_bytes");
  const wrong = parse("device_id=a&mode=x");
  assert(!wrong.ok);
  assert.equal(wrong.error.code, "invalid_parameter");
});
