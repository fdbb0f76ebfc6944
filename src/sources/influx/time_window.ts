// The bounds in time that every read of newest samples has; no query may be built without them.
import { instantOfMs } from "../../protocol/nano_instant.ts";

export interface TimeWindow {
  /** Instant with nine digits; a sample must be later than this. */
  readonly after: string;
  /** Instant with nine digits; a sample must not be later than this. */
  readonly until: string;
}

export interface TimeWindowOptions {
  readonly lookbackMs: number;
  readonly futureMs: number;
}

export function timeWindow(nowMs: number, { lookbackMs, futureMs }: TimeWindowOptions): TimeWindow {
  return { after: instantOfMs(nowMs - lookbackMs), until: instantOfMs(nowMs + futureMs) };
}
