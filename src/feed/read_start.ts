// When a read began, and the instants that follow from it; counted once, as each read compares many samples with them.
import { instantOfMs } from "../protocol/nano_instant.ts";

export interface ReadStart {
  /** The number of the read; a later one's outcome counts, whichever comes first. */
  readonly seq: number;
  /** In milliseconds since the epoch. */
  readonly readAt: number;
  /** The same as an instant with nine digits. */
  readonly instant: string;
  /** What is older than this came too late to be looked for once this read is over. */
  readonly late: string;
  /** A device whose newest sample is older than this is stale. */
  readonly stale: string;
}

export interface ReadStartOptions {
  readonly seq: number;
  readonly lateMs: number;
  readonly staleMs: number;
}

export function readStart(readAt: number, { seq, lateMs, staleMs }: ReadStartOptions): ReadStart {
  return {
    seq,
    readAt,
    instant: instantOfMs(readAt),
    late: instantOfMs(readAt - lateMs),
    stale: instantOfMs(readAt - staleMs),
  };
}
