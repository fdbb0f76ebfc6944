// A clock that only moves when told; built on fake timers that know nothing of the process's own.
import FakeTimers from "@sinonjs/fake-timers";
import type { Clock } from "../../src/clock.ts";

export interface FakeClock extends Clock {
  /** Lets time pass, running timers in order and letting promises settle in between. */
  advance(ms: number): Promise<void>;
  /** Timers that wait. */
  readonly timerCount: number;
}

export function fakeClock(startMs = Date.UTC(2026, 10, 18, 11, 0, 0)): FakeClock {
  const timers = FakeTimers.createClock(startMs);
  return {
    now: () => timers.now,
    monotonicNow: () => timers.now,
    setTimeout: (callback, delayMs) => timers.setTimeout(callback, delayMs),
    clearTimeout: (handle) => timers.clearTimeout(handle as ReturnType<typeof timers.setTimeout>),
    advance: async (ms) => void await timers.tickAsync(ms),
    get timerCount() {
      return timers.countTimers();
    },
  };
}
