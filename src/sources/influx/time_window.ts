// The bounds in time that every read of newest samples has; no query may be built without them.

export interface TimeWindow {
  /** RFC3339; a sample must be later than this. */
  readonly after: string;
  /** RFC3339; a sample must not be later than this. */
  readonly until: string;
}

export interface TimeWindowOptions {
  readonly lookbackMs: number;
  readonly futureMs: number;
}

export function timeWindow(nowMs: number, { lookbackMs, futureMs }: TimeWindowOptions): TimeWindow {
  return {
    after: new Date(nowMs - lookbackMs).toISOString(),
    until: new Date(nowMs + futureMs).toISOString(),
  };
}
