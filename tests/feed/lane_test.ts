// A lane's rest: it is measured by what a read takes, not by what comes after its answer.
import assert from "node:assert/strict";
import { Lane } from "../../src/feed/lane.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { memoryLog } from "../support/memory_log.ts";

Deno.test("What sending an answer takes does not count as the read's time", async () => {
  const clock = fakeClock();
  const lane = new Lane({
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
