// A clock that only moves when told; built on fake timers that know nothing of the process's own.
import FakeTimers from "@sinonjs/fake-timers";
import type { Clock } from "../../src/clock.ts";

export interface FakeClock extends Clock {
  /** Lets time pass, running timers in order and letting promises settle in between. */
  advance(ms: number): Promise<void>;
  /** Sets the wall's clock forward, or back where it is negative. */
  setWall(byMs: number): void;
  /** Timers that wait. */
  readonly timerCount: number;
}

export function fakeClock(startMs = Date.UTC(2026, 10, 18, 11, 0, 0)): FakeClock {
  const timers = FakeTimers.createClock(startMs);
  let wallMs = 0;
  return {
    now: () => timers.now + wallMs,
    monotonicNow: () => timers.now,
    setTimeout: (callback, delayMs) => timers.setTimeout(callback, delayMs),
    clearTimeout: (handle) => timers.clearTimeout(handle as ReturnType<typeof timers.setTimeout>),
    advance: async (ms) => void await timers.tickAsync(ms),
    setWall: (byMs) => void (wallMs += byMs),
    get timerCount() {
      return timers.countTimers();
    },
  };
}
