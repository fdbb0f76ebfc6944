// Whose turn a read has and how long it may take.
import assert from "node:assert/strict";
import { SourceError } from "../../src/sources/source_error.ts";
import { guardFixture, settled, TIMEOUT_MS } from "./source_guard_fixture.ts";

Deno.test("No more reads than allowed are under way at once, and the others follow in turn", async () => {
  const { guard, ask, calls } = guardFixture({ maxReads: 2 });
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const begun: number[] = [];
  const reads = gates.map(({ promise }, index) =>
    ask(() => {
      begun.push(index);
      return promise;
    })
  );
  await settled();
  assert.deepEqual(begun, [0, 1]);
  for (const [index, gate] of gates.entries()) {
    assert.ok(guard.reading <= 2);
    gate.resolve();
    await reads[index];
    await settled();
  }
  assert.deepEqual(begun, [0, 1, 2, 3, 4]);
  assert.equal(guard.reading, 0);
  assert.equal(calls(), 5);
});

Deno.test("Each read that must wait for a place is told, and those that need not are not", async () => {
  let crowded = 0;
  const { ask } = guardFixture({ maxReads: 2, crowded: () => void crowded++ });
  const gate = Promise.withResolvers<void>();
  const reads = Array.from({ length: 5 }, () => ask(() => gate.promise));
  await settled();
  assert.equal(crowded, 3);
  gate.resolve();
  await Promise.all(reads);
  assert.equal(crowded, 3);
});

Deno.test("A failed read gives its place to the next", async () => {
  const { ask, fail } = guardFixture({ maxReads: 1 });
  const failed = fail("missing");
  assert.equal(await ask(() => Promise.resolve(1)), 1);
  assert.equal(await failed, "missing");
});

Deno.test("A read that is given up while it waits is never made and takes no place", async () => {
  const { guard, ask, calls, clock } = guardFixture({ maxReads: 1 });
  const gate = Promise.withResolvers<void>();
  const leaving = new AbortController();
  const first = ask(() => gate.promise);
  const second = ask(() => Promise.resolve(2), leaving.signal);
  const third = ask(() => Promise.resolve(3));
  await settled();
  leaving.abort(new Error("Feed stopped"));
  await assert.rejects(second, { message: "Feed stopped" });
  gate.resolve();
  await first;
  assert.equal(await third, 3);
  assert.equal(calls(), 2);
  assert.equal(guard.reading, 0);
  assert.equal(guard.state.state, "ok");
  assert.equal(clock.timerCount, 0);
});

Deno.test("A read whose signal fell before it asked is refused with the signal's reason", async () => {
  const { ask, calls, guard } = guardFixture();
  const by = AbortSignal.abort(new Error("Feed stopped"));
  await assert.rejects(ask(() => Promise.resolve(1), by), { message: "Feed stopped" });
  assert.equal(calls(), 0);
  assert.equal(guard.reading, 0);
});

Deno.test("A read whose signal fell before it asked does not wait for its turn to hear it", async () => {
  const { ask } = guardFixture({ maxReads: 1 });
  const gate = Promise.withResolvers<void>();
  const first = ask(() => gate.promise);
  const by = AbortSignal.abort(new Error("Feed stopped"));
  await assert.rejects(ask(() => Promise.resolve(1), by), { message: "Feed stopped" });
  gate.resolve();
  await first;
});

Deno.test("A read that is given up in the instant its turn comes is not made", async () => {
  const { guard, ask, calls } = guardFixture({ maxReads: 1 });
  const gate = Promise.withResolvers<void>();
  const leaving = new AbortController();
  const remove = leaving.signal.removeEventListener.bind(leaving.signal);
  leaving.signal.removeEventListener = (type: string, listener: EventListener) => {
    remove(type, listener);
    leaving.abort(new Error("Feed stopped"));
  };
  const first = ask(() => gate.promise);
  const second = ask(() => Promise.resolve(2), leaving.signal).catch(({ message }) => message);
  await settled();
  gate.resolve();
  await first;
  assert.equal(await second, "Feed stopped");
  assert.equal(calls(), 1);
  assert.equal(guard.reading, 0);
});

Deno.test("A driver that is deaf to its signal does not keep its reader past the time-out", async () => {
  const { clock, ask, guard } = guardFixture();
  const read = ask(() => new Promise(() => {}));
  const outcomes: unknown[] = [];
  read.catch((error) => outcomes.push(error));
  await clock.advance(TIMEOUT_MS - 1);
  assert.equal(outcomes.length, 0);
  await clock.advance(1);
  const message = 'Source "telemetry" did not answer within 10000 ms';
  assert.deepEqual(outcomes, [new SourceError("unavailable", message)]);
  assert.equal(guard.reading, 0);
  assert.equal(clock.timerCount, 0);
});

Deno.test("A driver that listens hears the time-out and the end of its feed", async () => {
  for (const cause of ["time-out", "feed"]) {
    const { clock, ask } = guardFixture();
    const feed = new AbortController();
    let given: AbortSignal | undefined;
    const read = ask((signal) => {
      given = signal;
      return new Promise(() => {});
    }, feed.signal);
    read.catch(() => {});
    await settled();
    assert.equal(given?.aborted, false);
    if (cause === "feed") feed.abort(new Error("Feed stopped"));
    else await clock.advance(TIMEOUT_MS);
    assert.equal(given?.aborted, true);
    await assert.rejects(read, cause === "feed" ? { message: "Feed stopped" } : SourceError);
    assert.equal(clock.timerCount, 0);
  }
});

Deno.test("A read leaves nothing on its feed's signal, whatever its driver left on the one it was given", async () => {
  for (const ending of ["answer", "failure", "time-out"]) {
    const { clock, ask } = guardFixture();
    const feed = new AbortController().signal;
    const left = new Set<unknown>();
    const { addEventListener, removeEventListener } = feed;
    feed.addEventListener = (type: string, ...how: [never]) => {
      left.add(how[0]);
      addEventListener.call(feed, type, ...how);
    };
    feed.removeEventListener = (type: string, ...how: [never]) => {
      left.delete(how[0]);
      removeEventListener.call(feed, type, ...how);
    };
    let during = 0;
    const read = ask(async (given) => {
      given.addEventListener("abort", () => {});
      during = left.size;
      if (ending === "failure") throw new Error("No");
      if (ending === "time-out") await new Promise(() => {});
    }, feed);
    const over = Promise.allSettled([read]);
    await settled();
    if (ending === "time-out") await clock.advance(TIMEOUT_MS);
    await over;
    assert.deepEqual([during, left.size], [1, 0], ending);
  }
});
