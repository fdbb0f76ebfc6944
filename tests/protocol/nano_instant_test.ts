// Holds instants to their nanoseconds, in both directions and across the epoch.
import assert from "node:assert/strict";
import {
  instantOfMs,
  instantOfNanos,
  nanosOf,
  parseNanoInstant,
} from "../../src/protocol/nano_instant.ts";

Deno.test("RFC 3339 with up to nine digits and any offset becomes the one spelling", () => {
  const spellings = {
    "2026-11-18T11:06:42Z": "2026-11-18T11:06:42.000000000Z",
    "2026-11-18t11:06:42.1z": "2026-11-18T11:06:42.100000000Z",
    "2026-11-18T11:06:42.123456789Z": "2026-11-18T11:06:42.123456789Z",
    "2026-11-18T12:06:42.5+01:00": "2026-11-18T11:06:42.500000000Z",
    "2026-01-01T00:00:00-00:30": "2026-01-01T00:30:00.000000000Z",
    "2024-02-29T23:59:59.999999999Z": "2024-02-29T23:59:59.999999999Z",
    "0000-01-01T00:00:00Z": "0000-01-01T00:00:00.000000000Z",
  };
  for (const [text, instant] of Object.entries(spellings)) {
    assert.equal(parseNanoInstant(text), instant, text);
  }
});

Deno.test("What is no instant is none, days and hours that do not exist included", () => {
  const refused = [
    ...["", "now", "-1h", "2026-11-18", "2026-11-18T11:06:42", "2026-11-18 11:06:42Z", "1763463"],
    ...["2026-11-18T11:06:42.Z", "2026-11-18T11:06:42.1234567890Z", "2026-11-18T11:06Z"],
    ...["2026-02-30T00:00:00Z", "2025-02-29T00:00:00Z", "2026-13-01T00:00:00Z"],
    ...["2026-01-01T24:00:00Z", "2026-01-01T23:60:00Z", "2026-01-01T23:59:60Z"],
    ...["2026-01-01T00:00:00+25:00", "2026-01-01T00:00:00 01:00", "+002026-01-01T00:00:00Z"],
    ...["0000-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", " 2026-11-18T11:06:42Z"],
  ];
  for (const text of refused) assert.equal(parseNanoInstant(text), null, text);
});

Deno.test("Nanoseconds and instants are each other's inverse on both sides of the epoch", () => {
  const instants = [
    "1969-12-31T23:59:59.999999999Z",
    "1970-01-01T00:00:00.000000000Z",
    "2026-11-18T11:06:42.123456789Z",
    "0001-01-01T00:00:00.000000001Z",
  ];
  for (const instant of instants) assert.equal(instantOfNanos(nanosOf(instant)), instant);
  assert.equal(nanosOf("1969-12-31T23:59:59.999999999Z"), -1n);
  assert.equal(nanosOf("1970-01-01T00:00:01.000000002Z"), 1_000_000_002n);
  assert.equal(instantOfMs(1_250.9), "1970-01-01T00:00:01.250000000Z");
});
