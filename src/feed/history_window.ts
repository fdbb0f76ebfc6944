// Where pages of windows meet: a chart that is asked for in pages must have each window once, whole, and none lost.
import { instantOfNanos, nanosOf } from "../protocol/nano_instant.ts";

const nanosPerSecond = 1_000_000_000n;

/**
 * What a read begins after, so that it brings what is asked for after the instant. Windows begin with the whole one that
 * the instant lies in, its start included: half a window's mean would be shown as if it were the window's.
 */
export function lowerBound(after: string, resolutionSeconds: number | null): string {
  if (resolutionSeconds === null) return after;
  const nanos = nanosOf(after);
  const length = BigInt(resolutionSeconds) * nanosPerSecond;
  return instantOfNanos(nanos - (((nanos % length) + length) % length) - 1n);
}

/** The instant to ask after for the windows that follow the one with this start. */
export function nextWindow(start: string, resolutionSeconds: number): string {
  return instantOfNanos(nanosOf(start) + BigInt(resolutionSeconds) * nanosPerSecond);
}
