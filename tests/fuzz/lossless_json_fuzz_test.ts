// The lossless reader against JSON.parse: the same texts are refused, and what differs are numbers that a double would
// have rounded or lost, nothing else.
import assert from "node:assert/strict";
import fc from "fast-check";
import { parseLossless } from "../../src/sources/lossless_json.ts";
import { mutateText, mutations } from "./mutation.ts";
import { holds } from "./seeded.ts";

/** JSON text with numbers as no `JSON.stringify` would write them. */
const number = fc.oneof(
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
  fc.tuple(fc.bigInt({ min: 0n, max: 2n ** 64n }), fc.nat()).map(([a, b]) => `${a}.${b}`),
  fc.tuple(fc.bigInt({ min: 0n, max: 2n ** 64n }), fc.integer({ min: -400, max: 400 })).map((
    [a, e],
  ) => `-${a}e${e}`),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
);
const text = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    { weight: 4, arbitrary: number },
    fc.string({ unit: "binary" }).map((value) => JSON.stringify(value)),
    fc.stringMatching(/^[0-9]{10,40}$/).map((digits) => JSON.stringify(digits)),
    fc.constantFrom("null", "true", "false", '"__proto__"'),
    fc.tuple(fc.array(tie("value"), { maxLength: 5 }), fc.constantFrom("", " ", "\n\t")).map((
      [items, space],
    ) => `[${space}${items.join(`,${space}`)}]`),
    fc.array(fc.tuple(fc.constantFrom("a", "b", "__proto__", "1".repeat(20)), tie("value")), {
      maxLength: 4,
    }).map((pairs) => `{${pairs.map(([name, value]) => `"${name}":${value}`).join(",")}}`),
  ),
})).value;

/** Throws unless `lossless` is what `rounded` is, but for numbers that were kept as their digits. */
function compare(lossless: unknown, rounded: unknown): void {
  if (typeof rounded === "number" && typeof lossless === "string") {
    assert(!Number.isSafeInteger(rounded), `${lossless} would have been exact`);
    assert.match(lossless, /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/);
    assert(Object.is(Number(lossless), rounded), `${lossless} is not ${rounded}`);
    return;
  }
  if (typeof rounded === "number") {
    // `1e309` in a text without long digits stays infinite, as JSON.parse has it; no source takes that for a value.
    assert(Object.is(lossless, rounded));
    return;
  }
  if (typeof rounded !== "object" || rounded === null) {
    assert.equal(lossless, rounded);
    return;
  }
  assert.equal(Array.isArray(lossless), Array.isArray(rounded));
  const [left, right] = [lossless, rounded] as [Record<string, unknown>, Record<string, unknown>];
  assert.deepEqual(Object.keys(left), Object.keys(right));
  assert.equal(Object.getPrototypeOf(left), Object.getPrototypeOf(right));
  for (const key of Object.keys(right)) compare(left[key], right[key]);
}

function check(json: string): void {
  let rounded: unknown;
  try {
    rounded = JSON.parse(json);
  } catch (error) {
    assert(error instanceof SyntaxError);
    assert.throws(() => parseLossless(json), SyntaxError);
    return;
  }
  compare(parseLossless(json), rounded);
}

Deno.test("Any JSON reads as JSON.parse reads it, but for the numbers that it would have rounded", async () => {
  await holds(fc.property(text, check), { numRuns: 5_000 });
});

Deno.test("An integer beyond 2^53 is never rounded, wherever in a text it stands", async () => {
  const big = fc.bigInt({ min: 2n ** 53n, max: 2n ** 80n });
  const around = fc.tuple(fc.string(), big, fc.boolean(), fc.array(fc.double({ noNaN: true })));
  await holds(
    fc.property(around, ([before, integer, isNegative, after]) => {
      const digits = `${isNegative ? "-" : ""}${integer}`;
      const doubles = after.filter(Number.isFinite).map((value) => JSON.stringify(value));
      const json = `[${JSON.stringify(before)},${[digits, ...doubles].join(",")}]`;
      assert.equal((parseLossless(json) as unknown[])[1], digits);
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("Damaged JSON is refused exactly where JSON.parse refuses it", async () => {
  const splices = ["9007199254740993", "1".repeat(400), "1e999", ",", "[", "}", '"', "\\u", "-"];
  await holds(
    fc.property(text, mutations(splices), (json, steps) => check(mutateText(json, steps))),
    { numRuns: 5_000 },
  );
});
