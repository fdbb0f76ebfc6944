// What part of time the charts of a device show, in seconds since 1970; it moves by whole functions, never in place.

export interface TimeWindow {
  readonly from: number;
  readonly to: number;
}

const LEAST_SECONDS = 10;
const SHARE = 0.25;

/** Around its middle; `factor` below 1 shows less. */
export function zoom({ from, to }: TimeWindow, factor: number): TimeWindow {
  const middle = (from + to) / 2;
  const half = Math.max(LEAST_SECONDS, (to - from) * factor) / 2;
  return { from: middle - half, to: middle + half };
}

/** A quarter of what is shown, earlier or later. */
export function step({ from, to }: TimeWindow, direction: -1 | 1): TimeWindow {
  return shift({ from, to }, (to - from) * SHARE * direction);
}

export function shift({ from, to }: TimeWindow, seconds: number): TimeWindow {
  return { from: from + seconds, to: to + seconds };
}

/** Kept inside of what there is; null where that is all of it, which is to follow. */
export function within(window: TimeWindow, whole: TimeWindow): TimeWindow | null {
  const seconds = Math.max(LEAST_SECONDS, window.to - window.from);
  if (seconds >= whole.to - whole.from) return null;
  const from = Math.min(Math.max(window.from, whole.from), whole.to - seconds);
  return { from, to: from + seconds };
}
