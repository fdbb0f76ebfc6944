// What sockets are sent alike is one copy, and what is sent is always what was asked for.
import assert from "node:assert/strict";
import fc from "fast-check";
import { JoinedWires } from "../../src/sockets/joined_wires.ts";
import { wireOf } from "../../src/sockets/wire.ts";
import type { Frame } from "../../src/protocol/frame.ts";
import { note } from "./engine_harness.ts";

const standing = () => 0;

function joinedBytes(frames: readonly Frame[]): number[] {
  return frames.flatMap((frame) => [...wireOf(frame)]);
}

Deno.test("Pushes of the same messages are one copy, those of others are not", () => {
  const joined = new JoinedWires(standing);
  const [a, b, c] = [note(1), note(2), note(3)];
  const wire = joined.of([a, b]);
  assert.equal(joined.of([a, b]), wire);
  for (const others of [[a, c], [a, b, c], [b, a], [a]]) {
    assert.notEqual(joined.of(others), wire);
    assert.deepEqual([...joined.of(others)], joinedBytes(others));
  }
  assert.deepEqual([...joined.of([a, { ...b }])], joinedBytes([a, b]));
});

Deno.test("What was joined some time ago is forgotten, however often it was asked for and whatever came since", () => {
  let nowMs = 1_000;
  const joined = new JoinedWires(() => nowMs);
  const frames = [note(1), note(2)];
  const wire = joined.of(frames);
  for (; nowMs <= 1_050; nowMs += 10) {
    assert.equal(joined.of(frames), wire);
    joined.of([note(nowMs), note(2)]);
  }
  const anew = joined.of(frames);
  assert.notEqual(anew, wire);
  assert.equal(joined.of(frames), anew);
});

Deno.test("A caller that goes on with its list changes nothing of what was joined from it", () => {
  const joined = new JoinedWires(standing);
  const [a, b, c] = [note(1), note(2), note(3)];
  const frames = [a, b];
  joined.of(frames);
  frames[1] = c;
  assert.deepEqual([...joined.of([a, b])], joinedBytes([a, b]));
  assert.deepEqual([...joined.of([a, c])], joinedBytes([a, c]));
});

Deno.test("A history that many are sent at once is one copy", () => {
  const joined = new JoinedWires(standing);
  const history = [note(1, "x".repeat(70_000)), note(2)];
  assert.equal(joined.of(history), joined.of(history));
});

Deno.test("A push of more than is kept is joined anew for each", () => {
  const joined = new JoinedWires(standing);
  const large = [note(1, "x".repeat(9 << 20)), note(2)];
  assert.ok(joined.of(large) !== joined.of(large));
  assert.ok(joined.of(large).length > 9 << 20);
});

Deno.test("All that is kept is no more than 8 MiB, also where one push takes another's place", () => {
  const joined = new JoinedWires(standing);
  const pushes = Array.from(
    { length: 8 },
    (_, nth) => [note(nth, "x".repeat(1_100_000)), note(0)],
  );
  const wires = pushes.map((frames) => joined.of(frames));
  assert.ok(joined.of(pushes[0]!) !== wires[0], "the eighth did not fit");
  assert.ok(joined.of(pushes[7]!) === wires[7]);
  // Each begins with the same message as the one before it.
  for (let nth = 0; nth < 20; nth++) joined.of([pushes[7]![0]!, note(nth)]);
  assert.ok(joined.of(pushes[0]!) === joined.of(pushes[0]!), "others are still kept beside it");
});

Deno.test("Of pushes that all differ only some are kept", () => {
  const joined = new JoinedWires(standing);
  const oldest = [note(0), note(1)];
  const wire = joined.of(oldest);
  for (let nth = 0; nth < 1_000; nth++) joined.of([note(nth), note(nth + 1)]);
  assert.notEqual(joined.of(oldest), wire);
});

Deno.test("Whatever lists come in whatever order, each gets the bytes of its messages", () => {
  const notes = Array.from({ length: 5 }, (_, nth) => note(nth));
  const lists = fc.array(fc.array(fc.constantFrom(...notes), { maxLength: 5 }), {
    maxLength: 40,
    size: "max",
  });
  fc.assert(fc.property(lists, (pushes) => {
    const joined = new JoinedWires(standing);
    for (const frames of pushes) assert.deepEqual([...joined.of(frames)], joinedBytes(frames));
  }));
});
