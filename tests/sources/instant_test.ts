// Instants of every database have one spelling on the wire.
import assert from "node:assert/strict";
import { toNanoInstant } from "../../src/sources/instant.ts";

Deno.test("An instant in UTC gets nine fractional digits and Z, whichever way the database spells it", () => {
  const spellings = {
    "2026-11-18T11:06:40Z": "2026-11-18T11:06:40.000000000Z",
    "2026-11-18T11:06:40.1Z": "2026-11-18T11:06:40.100000000Z",
    "2026-11-18T11:06:40.000000042Z": "2026-11-18T11:06:40.000000042Z",
    "2026-11-18 11:06:40.123456+00": "2026-11-18T11:06:40.123456000Z",
    "2026-11-18T11:06:40+00:00": "2026-11-18T11:06:40.000000000Z",
  };
  for (const [stored, expected] of Object.entries(spellings)) {
    assert.equal(toNanoInstant(stored), expected);
  }
});

Deno.test("What is not an instant in UTC throws and is never moved or cut", () => {
  const others = [
    "",
    "yesterday",
    "2026-11-18",
    "2026-11-18T11:06:40",
    "2026-11-18T11:06:40+01:00",
  ];
  for (
    const text of [
      ...others,
      "2026-11-18T11:06:40.0000000001Z",
      "infinity",
      "2026-11-18T11:06:40Z\n",
    ]
  ) {
    assert.throws(() => toNanoInstant(text), RangeError, text);
  }
});
