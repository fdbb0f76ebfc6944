// The bounds in time of every read; no query may be built without them, and none may go beyond what every read is bounded
// by.
import type { Clock } from "../clock.ts";
import { instantOfMs } from "../protocol/nano_instant.ts";
import type { RangeQuery } from "./telemetry_source.ts";

export interface TimeBounds {
  /** Instant with nine digits; a sample must be later than this. */
  readonly after: string;
  /** Instant with nine digits; a sample must not be later than this. */
  readonly until: string;
}

/** Null where no instant lies between the bounds: some databases refuse such a question. */
export function rangeBounds(
  { after, until }: Pick<RangeQuery, "after" | "until">,
  { clock, futureMs }: { readonly clock: Clock; readonly futureMs: number },
): TimeBounds | null {
  const latest = instantOfMs(clock.now() + futureMs);
  const bounds = { after, until: until < latest ? until : latest };
  return bounds.after < bounds.until ? bounds : null;
}

/** Those of a read of the newest samples, by the wall's clock. */
export function latestBounds(
  { clock, lookbackMs, futureMs }: {
    readonly clock: Clock;
    readonly lookbackMs: number;
    readonly futureMs: number;
  },
): TimeBounds {
  const now = clock.now();
  return { after: instantOfMs(now - lookbackMs), until: instantOfMs(now + futureMs) };
}
