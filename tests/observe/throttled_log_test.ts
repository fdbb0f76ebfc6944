import assert from "node:assert/strict";
import { throttledLog } from "../../src/observe/throttled_log.ts";
import { type FakeClock, fakeClock } from "../support/fake_clock.ts";
import { memoryLog } from "../support/memory_log.ts";

function fixture(clock: FakeClock = fakeClock()) {
  const written = memoryLog();
  const log = throttledLog(written, {
    burst: 2,
    windowMs: 1_000,
    now: () => clock.monotonicNow(),
    after: (delayMs, act) => void clock.setTimeout(act, delayMs),
  });
  const lines = (): ReadonlyArray<Readonly<Record<string, unknown>>> =>
    written.records.map(({ event, fields }) => ({ event, ...fields }));
  return { clock, written, log, lines };
}

Deno.test("A fault that repeats itself is written a few times, then once with the number of those left out", async () => {
  const { clock, log, lines } = fixture();
  for (let n = 1; n <= 7; n++) log.error("read_failed", { n });
  assert.deepEqual(lines(), [{ event: "read_failed", n: 1 }, { event: "read_failed", n: 2 }]);
  await clock.advance(1_000);
  assert.deepEqual(lines().slice(2), [{ event: "read_failed", n: 7, repeated: 5 }]);
  assert.equal(clock.timerCount, 0);
});

Deno.test("What comes seldom is written as it comes", async () => {
  const { clock, log, lines } = fixture();
  for (let n = 1; n <= 6; n++) {
    log.warning("slow_client", { n });
    await clock.advance(501);
  }
  assert.deepEqual(lines().map(({ n }) => n), [1, 2, 3, 4, 5, 6]);
  assert.ok(lines().every((line) => !("repeated" in line)));
});

Deno.test("After the minute a fault is written again from the first", async () => {
  const { clock, log, lines } = fixture();
  for (let n = 1; n <= 3; n++) log.error("read_failed", { n });
  await clock.advance(1_000);
  log.error("read_failed", { n: 4 });
  assert.deepEqual(lines().slice(2), [
    { event: "read_failed", n: 3, repeated: 1 },
    { event: "read_failed", n: 4 },
  ]);
});

Deno.test("One fault doesn't hide another, and what tells of the ordinary is not throttled", () => {
  const { log, written } = fixture();
  for (let n = 1; n <= 5; n++) {
    log.error("read_failed");
    log.warning("slow_client");
    log.info("connected");
    log.debug("token_refused");
  }
  assert.equal(written.of("read_failed").length, 2);
  assert.equal(written.of("slow_client").length, 2);
  assert.equal(written.of("connected").length, 5);
  assert.equal(written.of("token_refused").length, 5);
});

Deno.test("Whoever is about to end loses nothing of what was left out", async () => {
  const { clock, log, lines } = fixture();
  for (let n = 1; n <= 4; n++) log.error("read_failed", { n });
  log.flush();
  assert.deepEqual(lines().at(-1), { event: "read_failed", n: 4, repeated: 2 });
  await clock.advance(2_000);
  assert.equal(lines().length, 3);
});

Deno.test("A process that ends writes what it left out, and does not wait for it", async () => {
  const entry = new URL("./noisy_process.ts", import.meta.url).pathname;
  for (const format of ["json", "text"]) {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", entry, format],
      env: { NO_COLOR: "1" },
    }).output();
    const lines = `${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`.trim()
      .split("\n");
    assert.ok(success);
    assert.equal(lines.length, 11, lines.join("\n"));
    assert.match(lines.at(-1) ?? "", format === "json" ? /"repeated":90\b/ : / n=100 repeated=90$/);
  }
});
