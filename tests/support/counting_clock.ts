// The system's clock that knows its timers; it must measure time as the system does.
import { type Clock, systemClock, type TimerHandle } from "../../src/clock.ts";

/** Counts the timers that are set and have neither fired nor been cleared. */
export class CountingClock implements Clock {
  readonly now = systemClock.now;
  readonly monotonicNow = systemClock.monotonicNow;
  readonly pending = new Set<TimerHandle>();

  setTimeout(callback: () => void, delayMs: number): TimerHandle {
    const handle = systemClock.setTimeout(() => {
      this.pending.delete(handle);
      callback();
    }, delayMs);
    this.pending.add(handle);
    return handle;
  }

  clearTimeout(handle: TimerHandle): void {
    this.pending.delete(handle);
    systemClock.clearTimeout(handle);
  }
}
