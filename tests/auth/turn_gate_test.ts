// Who passes the gate when.
import assert from "node:assert/strict";
import { TurnGate } from "../../src/auth/turn_gate.ts";

Deno.test("all who come in one turn of the event loop pass together, in their order", async () => {
  const gate = new TurnGate();
  const passed: string[] = [];
  const pass = async (name: string) => {
    await gate.pass();
    passed.push(name);
  };
  const first = pass("first");
  // Later, and still in the same turn.
  await Promise.resolve();
  const second = pass("second");
  assert.deepEqual(passed, [], "nobody passes in the turn in which it came");
  await first;
  assert.deepEqual(passed, ["first", "second"]);
  await second;
});

Deno.test("who comes when the gate has opened passes in the next turn", async () => {
  const gate = new TurnGate();
  await gate.pass();
  let hasPassed = false;
  const next = gate.pass().then(() => void (hasPassed = true));
  await Promise.resolve();
  assert.equal(hasPassed, false);
  await next;
  assert.equal(hasPassed, true);
});
