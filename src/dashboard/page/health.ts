// Says whether a value may be shown as live: only while it is as young as its device's own pace explains.

/** `old`: nobody can tell at present, because nothing arrives. */
export type Health = "live" | "quiet" | "stale" | "old";

/** A device whose pace is not known yet is given this long. */
const LEAST_MS = 15_000;
const PACES = 3;

export interface HealthInput {
  readonly ageMs: number;
  /** Between its samples; null until two were seen. */
  readonly paceMs: number | null;
  readonly staleMs: number;
  /** Whether samples arrive at all: connected, and their source can be read. */
  readonly isArriving: boolean;
}

export function healthOf({ ageMs, paceMs, staleMs, isArriving }: HealthInput): Health {
  if (ageMs > staleMs) return "stale";
  if (!isArriving) return "old";
  return ageMs <= Math.max(LEAST_MS, (paceMs ?? 0) * PACES) ? "live" : "quiet";
}
