// Holds the JSON Schemas of client messages and the decoder to each other: whatever one takes the other takes, as far as
// JSON Schema can say.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import fc from "fast-check";
import { clientPayloads } from "../../tools/api/json_schemas.ts";
import { decode } from "../../src/protocol/decode.ts";
import { holds } from "../fuzz/seeded.ts";

const RUNS = 5_000;
/** What JSON Schema has no words for. */
const BEYOND_JSON_SCHEMA = /^since must name devices of this message/;

const ajv = new Ajv({ strict: false, validateFormats: true });
// Packages in CommonJS look to a type checker as if they had no default.
(addFormats as unknown as (ajv: Ajv) => void)(ajv);
ajv.addKeyword({
  keyword: "x-max-bytes",
  type: "string",
  validate: (bytes: number, text: string) => Buffer.byteLength(text) <= bytes,
});
const isTaken = ajv.compile({ anyOf: Object.values(clientPayloads("draft-7")) });

/** What a field may be, and what it may not or only just may. */
interface FieldValues {
  readonly usual: fc.Arbitrary<unknown>;
  readonly awkward: readonly unknown[];
}

const DEVICE_IDS = [
  "a/b",
  "__proto__",
  "*",
  "",
  "x".repeat(128),
  "x".repeat(129),
  "é".repeat(64),
  "é".repeat(65),
  "bell\u0007",
  "next\u0085line",
  "\u{1f600}",
];
const INSTANTS = [
  "2026-11-18t11:06:42.123456789z",
  "2026-02-29T00:00:00Z",
  "2024-02-29T00:00:00Z",
  "2026-11-31T00:00:00Z",
  "2026-13-01T00:00:00Z",
  "2026-11-18T24:00:00Z",
  "2026-11-18T11:60:00Z",
  "2026-11-18T11:06:42.1234567890Z",
  "2026-11-18 11:06:42+25:00",
  "2026-11-18T11:06:42",
  "2026-11-18",
  "now",
  "",
];
const KINDS = [null, true, 0, 1.5, "", "text", [], ["text"], [1], {}];

const devices = (count: number) => Array.from({ length: count }, (_, index) => `dev-${index}`);
const oneOf = (...values: readonly unknown[]) => fc.constantFrom(...values);
const instant = fc.date({
  min: new Date(0),
  max: new Date("2100-01-01"),
  noInvalidDate: true,
}).map((date) => date.toISOString().replace("Z", "+01:30"));

const FIELDS: Readonly<Record<string, FieldValues>> = {
  device_id: { usual: oneOf("dev-1", "dev-2", "*"), awkward: [...DEVICE_IDS, ...KINDS] },
  device_ids: {
    usual: oneOf(["dev-1"], ["dev-1", "dev-1", "dev-2"]),
    awkward: [
      devices(500),
      devices(501),
      ...DEVICE_IDS.map((id) => ["dev-1", id]),
      ...KINDS,
    ],
  },
  metrics: {
    usual: oneOf(["temp_c"], ["temp_c", "temp_c", "mode"]),
    awkward: [devices(100), devices(101), ...DEVICE_IDS.map((name) => [name]), ...KINDS],
  },
  changes_only: { usual: fc.boolean(), awkward: [...KINDS] },
  mode: {
    usual: oneOf("latest", "every", "list", "changes"),
    awkward: ["LATEST", ...KINDS],
  },
  since: {
    usual: fc.oneof(instant, fc.dictionary(oneOf("dev-1", "dev-2").map(String), instant)),
    awkward: [
      ...INSTANTS,
      ...INSTANTS.map((written) => ({ "dev-1": written })),
      ...DEVICE_IDS.map((id) => ({ [id]: "2026-11-18T11:06:42Z" })),
      Object.fromEntries(devices(501).map((id) => [id, "2026-11-18T11:06:42Z"])),
      ...KINDS,
    ],
  },
  history_seconds: { usual: oneOf(1, 900), awkward: [0, -1, 1e12, "900", ...KINDS] },
  resolution_seconds: {
    usual: oneOf(1, 60),
    awkward: [0, 90_000, 90_001, "60", ...KINDS],
  },
  features: {
    usual: oneOf([], ["notices"], ["telepathy"]),
    awkward: [devices(32), devices(33), ...KINDS],
  },
  token: { usual: oneOf("token"), awkward: [...KINDS] },
  id: {
    usual: oneOf(7, "a"),
    awkward: [2 ** 53 - 1, 2 ** 53, "x".repeat(64), "x".repeat(65), ...KINDS],
  },
  unknown: { usual: oneOf(...KINDS), awkward: [...KINDS] },
};

const KNOWN = [
  { action: "subscribe", type: "device" },
  { action: "subscribe", type: "alerts" },
  { action: "unsubscribe", type: "device" },
];
const OTHERS = [
  { action: "subscribe", type: "fleet" },
  { action: "unsubscribe", type: "alerts" },
  { action: "unsubscribe", type: "fleet" },
  { action: "hello" },
  { action: "auth" },
  { action: "ping" },
  { action: "ping", type: 5 },
  { action: "fly" },
  { action: 5, type: "device" },
  { action: "subscribe", type: "site" },
  { action: "subscribe" },
];

const whole = fc.record({
  about: fc.oneof({ weight: 3, arbitrary: oneOf(...KNOWN) }, {
    weight: 1,
    arbitrary: oneOf(...OTHERS),
  }),
  target: oneOf("device_id", "device_id", "device_ids", "both", "none"),
  fields: fc.record(
    Object.fromEntries(Object.entries(FIELDS).map(([name, { usual }]) => [name, usual])),
  ),
  kept: fc.subarray(Object.keys(FIELDS).filter((name) => !name.startsWith("device_id")), {
    maxLength: 4,
  }),
  spoiled: fc.option(
    fc.oneof(
      ...Object.entries(FIELDS).map(([name, { awkward }]) =>
        oneOf(...awkward).map((value) => ({ [name]: value }))
      ),
    ),
    { freq: 2, nil: {} },
  ),
});

/** A message that is mostly what it should be, with at most one field that is awkward. */
const message = whole.map(({ about, target, fields, kept, spoiled }) => {
  const targets = target === "both" ? ["device_id", "device_ids"] : [target];
  const chosen = Object.entries(fields).filter(([name]) => [...targets, ...kept].includes(name));
  return { ...about as object, ...Object.fromEntries(chosen), ...spoiled };
});

const CONTEXTS = [
  { action: "subscribe", type: "device", device_id: "*" },
  { action: "subscribe", type: "device", device_id: "*", since: "2026-11-18T11:06:42Z" },
  { action: "subscribe", type: "device" },
  { action: "subscribe", type: "alerts", mode: "changes" },
  { action: "unsubscribe", type: "device", device_id: "dev-1" },
  { action: "unsubscribe", type: "device" },
  { action: "hello" },
  { action: "auth", token: "token" },
];

/** Whether the decoder took it; undefined where JSON Schema can't have an opinion. */
function assertAgreed(fields: object): boolean | undefined {
  const text = JSON.stringify(fields);
  const decoded = decode(text);
  if (!decoded.ok && BEYOND_JSON_SCHEMA.test(decoded.error.message)) return undefined;
  assert.equal(isTaken(JSON.parse(text)), decoded.ok, `${text}: ${JSON.stringify(decoded)}`);
  return decoded.ok;
}

Deno.test("The documented form of each field ends where the decoder's does", () => {
  for (const context of CONTEXTS) {
    for (const [name, { awkward }] of Object.entries(FIELDS)) {
      for (const value of awkward) assertAgreed({ ...context, [name]: value });
    }
  }
});

Deno.test("The documented form of a client's message and the decoder take the same messages", async () => {
  let taken = 0;
  await holds(
    fc.property(message, (fields) => {
      if (assertAgreed(fields)) taken++;
    }),
    { numRuns: RUNS },
  );
  const isMixed = taken > RUNS / 10 && taken < RUNS * 9 / 10;
  assert.ok(isMixed, `${taken} of ${RUNS} messages were taken: one side was hardly tried`);
});

Deno.test("What is no message at all has no documented form either", () => {
  for (const text of ["null", "[]", "1", '"ping"', "{}", '{"action":"ping","id":{}}']) {
    assert.equal(isTaken(JSON.parse(text)), false, text);
    assert.equal(decode(text).ok, false, text);
  }
});
