// What a guard lets through while its database is down, and how it finds out that it is back.
import assert from "node:assert/strict";
import { SourceError } from "../../src/sources/source_error.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { BASE_MS, guardFixture, settled, TIMEOUT_MS } from "./source_guard_fixture.ts";

Deno.test("Three failures in a row open the circuit and a success between them does not let it", async () => {
  const { guard, fail, succeed } = guardFixture();
  await fail();
  await fail();
  await succeed();
  await fail();
  await fail();
  assert.equal(guard.state.state, "ok");
  await fail("denied");
  assert.equal(guard.state.state, "degraded");
});

Deno.test("While the circuit is open every read is refused without a call", async () => {
  const { clock, open, succeed, calls } = guardFixture();
  await open();
  calls();
  for (let count = 0; count < 10; count++) {
    await assert.rejects(succeed(), {
      kind: "unavailable",
      message: 'Source "telemetry" is waiting for its next attempt',
    });
  }
  await clock.advance(BASE_MS - 1);
  await assert.rejects(succeed());
  assert.equal(calls(), 0);
  await clock.advance(1);
  assert.equal(await succeed(), "yes");
});

Deno.test("Reads that wait their turn when the circuit opens are refused without a call", async () => {
  const { fail, succeed, calls } = guardFixture({ maxReads: 1 });
  const reads = [fail(), fail(), fail(), succeed().catch(({ message }) => message)];
  const outcomes = await Promise.all(reads);
  assert.equal(outcomes[3], 'Source "telemetry" is waiting for its next attempt');
  assert.equal(calls(), 3);
});

Deno.test("One attempt at a time is made while the circuit is open", async () => {
  const { ask, open, ripen, succeed, guard } = guardFixture();
  await open();
  await ripen();
  const gate = Promise.withResolvers<void>();
  const attempt = ask(() => gate.promise);
  await settled();
  await assert.rejects(succeed(), { kind: "unavailable" });
  gate.resolve();
  await attempt;
  assert.equal(guard.state.state, "ok");
  assert.equal(await succeed(), "yes");
});

Deno.test("A read is refused at once while the circuit is open even when every place is taken", async () => {
  const { ask, open, ripen, succeed } = guardFixture({ maxReads: 2 });
  const gate = Promise.withResolvers<void>();
  const early = ask(() => gate.promise);
  await open();
  await ripen();
  const attempt = ask(() => gate.promise);
  await settled();
  await assert.rejects(succeed(), { kind: "unavailable" });
  gate.resolve();
  await Promise.all([early, attempt]);
});

Deno.test("An attempt that its feed gives up counts neither as success nor as failure", async () => {
  const { ask, open, ripen, guard, succeed } = guardFixture();
  await open();
  await ripen();
  const before = guard.state;
  const feed = new AbortController();
  const attempt = ask(() => new Promise(() => {}), feed.signal);
  await settled();
  feed.abort(new Error("Feed stopped"));
  await assert.rejects(attempt, { message: "Feed stopped" });
  assert.equal(guard.state, before);
  assert.equal(await succeed(), "yes", "the next may try at once");
});

Deno.test("Retry delays double up to the ceiling, each of them jittered by up to a half", async () => {
  for (const [random, share] of [[0, 0.5], [0.5, 0.75], [1, 1]] as const) {
    const { clock, guard, open, ripen, fail } = guardFixture({ random: () => random });
    await open();
    const delays: number[] = [];
    for (let attempt = 0; attempt < 5; attempt++) {
      delays.push((guard.state.retryAt ?? 0) - clock.now());
      await ripen();
      assert.equal(await fail(), "unavailable");
    }
    assert.deepEqual(delays, [5, 10, 20, 30, 30].map((seconds) => seconds * 1_000 * share));
  }
});

Deno.test("A success closes the circuit and the next outage begins with the first delay", async () => {
  const { clock, guard, open, ripen, fail, succeed } = guardFixture();
  await open();
  await ripen();
  await fail();
  await ripen();
  await succeed();
  assert.deepEqual(guard.state, { state: "ok", since: clock.now(), retryAt: null });
  await open();
  assert.equal(guard.state.retryAt, clock.now() + BASE_MS);
});

Deno.test("Failures of reads that began before the circuit opened change nothing", async () => {
  const { clock, guard, ask, open, log } = guardFixture();
  const gate = Promise.withResolvers<never>();
  const late = [1, 2, 3, 4].map(() => ask(() => gate.promise).catch(() => {}));
  await open();
  const before = guard.state;
  await clock.advance(1_000);
  gate.reject(new SourceError("unavailable", "Connection reset"));
  await Promise.all(late);
  assert.equal(guard.state, before);
  assert.equal(log.records.length, 1);
});

Deno.test("Successes of reads that began before the circuit opened don't close it", async () => {
  for (const answer of ["yes", "missing"] as const) {
    const { guard, ask, open, ripen, succeed } = guardFixture();
    const gate = Promise.withResolvers<void>();
    const early = ask(async () => {
      await gate.promise;
      if (answer === "missing") throw new SourceError("missing", "No");
      return answer;
    }).catch(({ kind }) => kind);
    await open();
    const before = guard.state;
    gate.resolve();
    assert.equal(await early, answer);
    assert.equal(guard.state, before);
    await assert.rejects(succeed(), { kind: "unavailable" });
    await ripen();
    await succeed();
    assert.equal(guard.state.state, "ok");
  }
});

Deno.test("Questions that one tenant makes too long close the source to nobody who is answered meanwhile", async () => {
  const { clock, guard, ask, succeed, calls, log } = guardFixture();
  for (let round = 0; round < 3; round++) {
    const late = [1, 2, 3, 4].map(() => assert.rejects(ask(() => new Promise(() => {}))));
    await clock.advance(TIMEOUT_MS / 2);
    assert.equal(await succeed(), "yes");
    await clock.advance(TIMEOUT_MS / 2);
    await Promise.all(late);
  }
  assert.equal(guard.state.state, "ok");
  assert.equal(calls(), 15);
  assert.equal(log.records.length, 0);
});

Deno.test("A source that answers nobody any more is an outage, whatever it answered just before", async () => {
  const { clock, guard, ask, succeed } = guardFixture();
  await succeed();
  await clock.advance(1);
  const late = [1, 2, 3].map(() => assert.rejects(ask(() => new Promise(() => {}))));
  await clock.advance(TIMEOUT_MS);
  await Promise.all(late);
  assert.equal(guard.state.state, "degraded");
});

Deno.test("A question beside the ticks leaves the attempt to them for an interval, and makes it where none comes", async () => {
  const { clock, guard, open, ripen, succeed, calls } = guardFixture();
  const { signal } = new AbortController();
  const aside = () => guard.run(signal, () => Promise.resolve("aside"), { isAside: true });
  await open();
  await ripen();
  calls();
  await clock.advance(BASE_MS - 1);
  await assert.rejects(aside(), { kind: "unavailable" });
  assert.equal(await succeed(), "yes");
  assert.equal(await aside(), "aside");
  await open();
  await ripen();
  await clock.advance(BASE_MS);
  assert.equal(await aside(), "aside");
  assert.equal(guard.state.state, "ok");
});

Deno.test("That everybody is denied is told by the log, and to tenants the source is away", async () => {
  const { fail, ripen, log, guard } = guardFixture();
  assert.deepEqual([await fail("denied"), await fail("denied")], ["denied", "denied"]);
  assert.equal(await fail("denied"), "unavailable");
  await ripen();
  assert.equal(await fail("denied"), "unavailable");
  const [told, ...more] = log.records;
  assert.deepEqual(more, []);
  assert.equal((told?.fields.error as SourceError).kind, "denied");
  assert.equal(told?.fields.kind, "denied");
  assert.equal(guard.state.state, "degraded");
});

Deno.test("An outage that turns out to need an operator is told once more, and only once", async () => {
  const { fail, ripen, open, log, succeed } = guardFixture();
  for (let outage = 1; outage <= 2; outage++) {
    await open();
    for (const kind of ["unavailable", "denied", "unavailable", "denied"] as const) {
      await ripen();
      await fail(kind);
    }
    await ripen();
    await succeed();
    const told = log.of("source_degraded").slice(-2).map(({ fields }) => fields.error);
    assert.deepEqual(told.map((error) => (error as SourceError).kind), ["unavailable", "denied"]);
    assert.equal(log.of("source_degraded").length, 2 * outage);
  }
});

Deno.test("A missing bucket and a refused query are answers of a database that is well", async () => {
  for (const kind of ["missing", "rejected"] as const) {
    const { guard, fail, open, ripen } = guardFixture();
    await fail();
    await fail();
    assert.equal(await fail(kind), kind);
    assert.equal(guard.state.state, "ok");
    await fail();
    await fail();
    assert.equal(guard.state.state, "ok", "the count began anew");
    await open();
    await ripen();
    await fail(kind);
    assert.equal(guard.state.state, "ok", "it closes the circuit");
  }
});

Deno.test("A fault that is no SourceError counts as a failure", async () => {
  const { ask, guard } = guardFixture();
  for (let count = 0; count < 3; count++) {
    await assert.rejects(ask(() => Promise.reject(new TypeError("Not a function"))), TypeError);
  }
  assert.equal(guard.state.state, "degraded");
});

Deno.test("The state says since when and until when, and the log says it once a change", async () => {
  const { clock, state, log, open, ripen, fail, succeed } = guardFixture();
  assert.deepEqual(state(), { state: "unknown", since: clock.now(), retryAt: null });
  await succeed();
  const okSince = clock.now();
  await clock.advance(1_000);
  await succeed();
  assert.deepEqual(state(), { state: "ok", since: okSince, retryAt: null });
  await open();
  const since = clock.now();
  assert.deepEqual(state(), { state: "degraded", since, retryAt: since + BASE_MS });
  for (let attempt = 0; attempt < 3; attempt++) {
    await ripen();
    await fail();
    assert.equal(state().since, since);
  }
  await ripen();
  await succeed();
  await succeed();
  const [degraded, recovered, ...more] = log.records;
  assert.deepEqual(more, []);
  assert.equal(degraded?.event, "source_degraded");
  assert.equal(degraded?.level, "error");
  assert.equal(degraded?.fields.retry_in_ms, BASE_MS);
  assert.deepEqual(recovered, {
    level: "info",
    event: "source_recovered",
    fields: { source: "telemetry", degraded_ms: clock.now() - since },
  });
});

Deno.test("How long an outage took is said as it passed, whatever the wall's clock was set to meanwhile", async () => {
  const clock = fakeClock();
  let aheadMs = 0;
  const wall = { ...clock, now: () => clock.now() + aheadMs };
  const { fail, log, succeed } = guardFixture({ clock: wall });
  for (let count = 0; count < 3; count++) await fail();
  aheadMs = -3_600_000;
  await clock.advance(BASE_MS);
  await succeed();
  const [recovered] = log.of("source_recovered");
  assert.equal(recovered?.fields.degraded_ms, BASE_MS);
});

Deno.test("A thousand tenants that ask all through an outage of a minute make a handful of attempts", async () => {
  const { clock, guard, ask, calls } = guardFixture();
  let isDown = true;
  const read = async () => {
    await new Promise<void>((resolve) => void clock.setTimeout(resolve, 20));
    if (isDown) throw new SourceError("unavailable", "Connection refused");
  };
  const everybody = () => Array.from({ length: 1_000 }, () => ask(read).catch(() => {}));
  const asked: Promise<unknown>[] = [];
  for (let second = 0; second < 60; second++) {
    asked.push(...everybody());
    await clock.advance(1_000);
  }
  await Promise.all(asked);
  // Eight that were under way, two that took the places of the first two to fail, and one after 5, 10 and 20 s.
  assert.equal(calls(), 8 + 2 + 3);
  isDown = false;
  await clock.advance((guard.state.retryAt ?? 0) - clock.now());
  const probes = everybody();
  await settled();
  assert.equal(calls(), 1);
  await clock.advance(20);
  await Promise.all(probes);
  assert.equal(guard.state.state, "ok");
});
