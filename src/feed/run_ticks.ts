// When a feed's ticks are due: at even distances from the first, whatever one of them takes. It knows nothing of what
// they read.
import { type Clock, delay } from "../clock.ts";
import type { Metrics } from "../observe/metrics.ts";

export interface TicksOptions {
  /** When the first is due, on the monotonic clock. */
  readonly firstAt: number;
  readonly intervalMs: number;
  readonly clock: Clock;
  /** Ends them. */
  readonly signal: AbortSignal;
  readonly metrics: Pick<Metrics, "ticked">;
  /** Must not reject. */
  readonly tick: () => Promise<void>;
}

/** Resolves when the signal aborts. */
export async function runTicks(
  { firstAt, intervalMs, clock, signal, metrics, tick }: TicksOptions,
): Promise<void> {
  let dueAt = firstAt;
  while (!signal.aborted) {
    await delay(clock, dueAt - clock.monotonicNow(), signal);
    if (signal.aborted) return;
    metrics.ticked(clock.monotonicNow() - dueAt);
    await tick();
    const now = clock.monotonicNow();
    dueAt += intervalMs;
    // Ticks that could not be held are left out, not made up for.
    if (dueAt < now) dueAt = now + (intervalMs - ((now - dueAt) % intervalMs));
  }
}
