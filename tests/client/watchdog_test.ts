// A dead socket is told from a quiet one, and from a machine that slept.
import assert from "node:assert/strict";
import { Watchdog } from "../../src/client/watchdog.ts";
import { sleepyClock } from "./client_fixture.ts";

function watch() {
  const clock = sleepyClock();
  const said: string[] = [];
  const watchdog = new Watchdog({
    clock,
    quietMs: 20_000,
    answerMs: 10_000,
    ask: () => void said.push("ask"),
    dead: () => void said.push("dead"),
  });
  return { clock, said, watchdog };
}

Deno.test("a socket that is heard of is not asked anything", async () => {
  const { clock, said, watchdog } = watch();
  for (let second = 0; second < 120; second += 10) {
    await clock.advance(10_000);
    watchdog.heard();
  }
  assert.deepEqual(said, []);
  watchdog[Symbol.dispose]();
});

Deno.test("a silent socket is asked, and dead when it does not answer in time", async () => {
  const { clock, said } = watch();
  await clock.advance(19_999);
  assert.deepEqual(said, []);
  await clock.advance(1);
  assert.deepEqual(said, ["ask"]);
  await clock.advance(9_999);
  assert.deepEqual(said, ["ask"]);
  await clock.advance(1);
  assert.deepEqual(said, ["ask", "dead"]);
  assert.equal(clock.timerCount, 0);
});

Deno.test("a silent socket that answers lives on and is asked again after the next silence", async () => {
  const { clock, said, watchdog } = watch();
  await clock.advance(25_000);
  watchdog.heard();
  await clock.advance(19_999);
  assert.deepEqual(said, ["ask"]);
  await clock.advance(1);
  assert.deepEqual(said, ["ask", "ask"]);
  watchdog[Symbol.dispose]();
});

Deno.test("after a sleep a socket is asked first, and not called dead for the time that nobody was awake", async () => {
  const { clock, said, watchdog } = watch();
  await clock.advance(21_000);
  assert.deepEqual(said, ["ask"]);
  await clock.sleep(3_600_000);
  assert.deepEqual(said, ["ask", "ask"]);
  await clock.advance(9_000);
  watchdog.heard();
  await clock.advance(5_000);
  assert.deepEqual(said, ["ask", "ask"]);
  watchdog[Symbol.dispose]();
});

Deno.test("a socket that did not survive the sleep is dead one answer's time after it", async () => {
  const { clock, said } = watch();
  await clock.sleep(3_600_000);
  assert.deepEqual(said, ["ask"]);
  await clock.advance(10_000);
  assert.deepEqual(said, ["ask", "dead"]);
});

Deno.test("a watchdog that was sent away asks nothing more", async () => {
  const { clock, said, watchdog } = watch();
  await clock.advance(20_000);
  watchdog[Symbol.dispose]();
  watchdog.heard();
  watchdog.probe();
  await clock.advance(100_000);
  assert.deepEqual(said, ["ask"]);
  assert.equal(clock.timerCount, 0);
});
