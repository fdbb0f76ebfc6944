// What the client does after a close is what the service's own table says.
import assert from "node:assert/strict";
import { comeBack } from "../../src/client/come_back.ts";
import { CLOSINGS, type Retry } from "../../src/errors.ts";

Deno.test("every close code of the service is obeyed as its table says", () => {
  const ways: Readonly<Record<Retry, readonly string[]>> = {
    no: ["never"],
    with_jitter: ["jittered", "announced"],
    after_delay: ["patient"],
    with_new_token: ["new_token"],
  };
  for (const { closeCode, retry } of Object.values(CLOSINGS)) {
    if (closeCode === null) continue;
    assert.ok(ways[retry].includes(comeBack(closeCode)), `${closeCode} is ${comeBack(closeCode)}`);
  }
  assert.equal(comeBack(1012), "announced");
});

Deno.test("a code that is not known, and an end without one, are like a fault of the service", () => {
  for (const code of [0, 1000, 1005, 1006, 1002, 1007, 4999]) {
    assert.equal(comeBack(code), comeBack(1011));
  }
});
