// One guard and a source that does as a test says; shared by what is tested of turns and of the circuit.
import assert from "node:assert/strict";
import { SourceError, type SourceErrorKind } from "../../src/sources/source_error.ts";
import { SourceGuard, type SourceGuardOptions } from "../../src/sources/source_guard.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { memoryLog } from "../support/memory_log.ts";

export const TIMEOUT_MS = 10_000;
export const BASE_MS = 5_000;
const MAX_MS = 30_000;

/** A guard under a clock that only moves when told, before a source that does what each read says. */
export function guardFixture(options: Partial<SourceGuardOptions> = {}) {
  const clock = fakeClock();
  const log = memoryLog();
  const guard = new SourceGuard({
    name: "telemetry",
    maxReads: 8,
    timeoutMs: TIMEOUT_MS,
    retryBaseMs: BASE_MS,
    retryMaxMs: MAX_MS,
    clock,
    log,
    random: () => 1,
    ...options,
  });
  const { signal } = new AbortController();
  let calls = 0;
  const ask = (read: (signal: AbortSignal) => Promise<unknown>, by = signal) =>
    guard.run(by, (given) => {
      calls++;
      return read(given);
    });
  const fail = (kind: SourceErrorKind = "unavailable") =>
    ask(() => Promise.reject(new SourceError(kind, "No")));
  const succeed = () => ask(() => Promise.resolve("yes"));
  return {
    clock,
    log,
    guard,
    state: () => guard.state,
    ask,
    succeed,
    /** Fails a read; resolves with the kind of error that came out. */
    fail: (kind?: SourceErrorKind) => fail(kind).catch(({ kind }) => kind),
    /** Opens the circuit. */
    async open() {
      for (let count = 0; count < 3; count++) await assert.rejects(fail());
      assert.equal(guard.state.state, "degraded");
    },
    /** Waits until the next attempt may be made. */
    async ripen() {
      await clock.advance((guard.state.retryAt ?? 0) - clock.now());
    },
    /** How often the source was called since the last time this was asked. */
    calls() {
      const counted = calls;
      calls = 0;
      return counted;
    },
  };
}

/** Lets every promise that can settle do so. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await null;
}
