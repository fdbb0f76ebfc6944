// The bounds in time of a range's read; none may go beyond what every read is bounded by.
import type { Clock } from "../clock.ts";
import { instantOfMs } from "../protocol/nano_instant.ts";
import type { RangeQuery } from "./telemetry_source.ts";

export interface RangeBounds {
  /** Instant with nine digits; a sample must be later than this. */
  readonly after: string;
  /** Instant with nine digits; a sample must not be later than this. */
  readonly until: string;
}

/** Null where no instant lies between the bounds: some databases refuse such a question. */
export function rangeBounds(
  { after, until }: Pick<RangeQuery, "after" | "until">,
  { clock, futureMs }: { readonly clock: Clock; readonly futureMs: number },
): RangeBounds | null {
  const latest = instantOfMs(clock.now() + futureMs);
  const bounds = { after, until: until < latest ? until : latest };
  return bounds.after < bounds.until ? bounds : null;
}
