// Finds names that stand twice in one object of a JSON text, and no others.
import assert from "node:assert/strict";
import { hasDuplicateMember } from "../../src/auth/has_duplicate_member.ts";

Deno.test("a name that stands twice in one object is found at any depth and in any spelling", () => {
  for (
    const json of [
      '{"a":1,"a":1}',
      '{"a":1, "b":{"x":1} , "a" : 2}',
      '{"r":{"roles":[],"roles":["admin"]}}',
      '[{"a":1},{"b":1,"b":2}]',
      '{"sub":"x","s\\u0075b":"y"}',
      '{"a\\"":1,"a\\"":2}',
      '{"":1,"":2}',
      '{"__proto__":1,"__proto__":2}',
      '{"a":1,"a"\n:2}',
    ]
  ) {
    JSON.parse(json);
    assert.equal(hasDuplicateMember(json), true, json);
  }
});

Deno.test("names that stand once in each object and texts that look like names are left alone", () => {
  for (
    const json of [
      "{}",
      "7",
      '"a"',
      '{"a":"a","b":"a"}',
      '{"a":{"a":{"a":1}}}',
      '[{"a":1},{"a":1}]',
      '{"a":["a","a",{"b":1},{"b":2}],"b":1}',
      '{"a":"\\"a\\":1,\\"a\\":2","b":"{[}]"}',
      '{"a\\\\":1,"a":2}',
    ]
  ) {
    JSON.parse(json);
    assert.equal(hasDuplicateMember(json), false, json);
  }
});
