// Which upgrades are answered before anybody is asked, whatever the engine's own server would have let through.
import assert from "node:assert/strict";
import { upgradeFault } from "../../src/sockets/upgrade_fault.ts";

const SOUND = {
  upgrade: "websocket",
  connection: "keep-alive, Upgrade",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};

function faultOf(changes: Record<string, string | undefined> = {}, method = "GET") {
  const entries = Object.entries({ ...SOUND, ...changes });
  const headers = new Headers(entries.filter((entry): entry is [string, string] => !!entry[1]));
  return upgradeFault({ method, headers });
}

Deno.test("A sound upgrade has no fault", () => {
  assert.equal(faultOf(), null);
  assert.equal(faultOf({ connection: "upgrade" }), null);
});

Deno.test("An upgrade by another method than GET is 405 and names GET", () => {
  for (const method of ["POST", "PUT", "HEAD"]) {
    const answer = faultOf({}, method);
    assert.equal(answer?.status, 405);
    assert.equal(answer.headers.get("allow"), "GET");
  }
});

Deno.test("Another version is 426 and names the one that is spoken", () => {
  for (const version of [undefined, "8", "14", "13, 8", "013"]) {
    const answer = faultOf({ "sec-websocket-version": version });
    assert.equal(answer?.status, 426);
    assert.equal(answer.headers.get("sec-websocket-version"), "13");
  }
});

Deno.test("A key that is not 16 bytes in base64 is 400", () => {
  for (
    const key of [
      undefined,
      "short",
      "x".repeat(24),
      "dGhlIHNhbXBsZSBub25jZQ=",
      "é".repeat(22) + "==",
    ]
  ) {
    assert.equal(faultOf({ "sec-websocket-key": key })?.status, 400);
  }
});

Deno.test("A connection that does not say Upgrade is 400", () => {
  for (const connection of [undefined, "close", "upgraded", "keep-alive"]) {
    assert.equal(faultOf({ connection })?.status, 400);
  }
});
