// Integers of databases must come through JSON unrounded, and everything else as JSON.parse gives it.
import assert from "node:assert/strict";
import fc from "fast-check";
import { parseLossless } from "../../src/sources/lossless_json.ts";

Deno.test("Integers beyond 2^53 become strings wherever in the text they stand", () => {
  for (let indent = 0; indent < 40; indent++) {
    const space = " ".repeat(indent);
    assert.deepEqual(parseLossless(`[${space}9007199254740992,-9007199254740993, 1]`), [
      "9007199254740992",
      "-9007199254740993",
      1,
    ]);
    assert.deepEqual(parseLossless(`[0.5,${space}9007199254740991]`), [0.5, 9007199254740991]);
  }
});

Deno.test("Doubles stay numbers, unless no double can hold them", () => {
  const long = "1".repeat(400);
  assert.deepEqual(
    parseLossless(`[9007199254740993, 0.30000000000000004, 12345678901234567.5, 1e300, 5e-324]`),
    [
      "9007199254740993",
      0.1 + 0.2,
      12345678901234567.5,
      1e300,
      5e-324,
    ],
  );
  assert.deepEqual(parseLossless(`[${long}, ${long}.5]`), [long, `${long}.5`]);
});

Deno.test("Digits in strings and names are left alone, and __proto__ is a name like any other", () => {
  const text =
    `{"1234567890123456789":"1234567890123456789","__proto__":{"n":9223372036854775807}}`;
  const value = parseLossless(text) as Record<string, unknown>;
  assert.deepEqual(Object.keys(value), ["1234567890123456789", "__proto__"]);
  assert.equal(value["1234567890123456789"], "1234567890123456789");
  assert.equal((value as { n?: unknown }).n, undefined);
});

Deno.test("What is not JSON throws a SyntaxError with long integers and without", () => {
  for (const text of ["", "[1", "[9007199254740993", "NaN"]) {
    assert.throws(() => parseLossless(text), SyntaxError);
  }
});

Deno.test("Whatever integers stand in a list, each comes out exact", () => {
  const integer = fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n });
  fc.assert(
    fc.property(fc.array(integer), fc.constantFrom("", " ", "\n    "), (integers, space) => {
      const expected = integers.map((
        n,
      ) => (Number.isSafeInteger(Number(n)) ? Number(n) : String(n)));
      assert.deepEqual(parseLossless(`[${space}${integers.join(`,${space}`)}]`), expected);
    }),
  );
});
