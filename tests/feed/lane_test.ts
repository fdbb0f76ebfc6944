// A lane's rest, which is measured by what a read takes and not by what comes after its answer, and its age.
import assert from "node:assert/strict";
import type { Clock } from "../../src/clock.ts";
import { Lane } from "../../src/feed/lane.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { memoryLog } from "../support/memory_log.ts";

function laneOn(clock: Clock): Lane {
  return new Lane({
    source: "telemetry",
    tenantId: "acme",
    retryBaseMs: 1_000,
    retryMaxMs: 60_000,
    clock,
    log: memoryLog(),
    random: () => 0.5,
    state: () => ({ state: "ok", since: 0, retryAt: null }),
    changed: () => {},
  });
}

Deno.test("A first read that began before the last tick's and ends after it makes nothing older", async () => {
  const clock = fakeClock();
  const lane = laneOn(clock);
  const { signal } = new AbortController();
  await lane.attempt(signal, async () => {
    await clock.advance(100);
    await lane.read(signal, () => Promise.resolve(true));
    await clock.advance(100);
    return true;
  });
  assert.equal(lane.ageMs, 100);
});

Deno.test("What sending an answer takes does not count as the read's time", async () => {
  const clock = fakeClock();
  const lane = laneOn(clock);
  const { signal } = new AbortController();
  await lane.read(signal, async () => {
    await clock.advance(100);
    lane.answered();
    await clock.advance(900);
    return true;
  });
  assert.equal(lane.isReady, true);
  await lane.read(signal, async () => {
    await clock.advance(1_000);
    return true;
  });
  assert.equal(lane.isReady, false, "an answer of an earlier read says nothing of this one");
});
