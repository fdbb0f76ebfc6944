// Asks for the tenant's devices until somebody can say them; it must ask no more often than a source that is down bears.
import { type Clock, delay } from "../clock.ts";
import { HistoryError } from "../feed/history_error.ts";
import type { Log } from "../observe/log.ts";

export interface KnownDevicesOptions {
  /** Throws HistoryError while nobody can say. */
  readonly list: () => Promise<readonly string[]>;
  /** Told of each attempt that failed. */
  readonly failed: () => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const RETRY_BASE_MS = 1_000;
const RETRY_MAX_MS = 30_000;

/** The devices, each once; null when the signal aborts first. Throws what is no fault of the source. */
export async function listUntilKnown(
  { list, failed, clock, random, log, signal }: KnownDevicesOptions,
): Promise<ReadonlySet<string> | null> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    let retryAfterMs = 0;
    try {
      const known = new Set(await list());
      return signal.aborted ? null : known;
    } catch (error) {
      if (signal.aborted) return null;
      if (!(error instanceof HistoryError)) throw error;
      log.debug("history_unavailable", { source: "telemetry", error });
      failed();
      ({ retryAfterMs } = error);
    }
    const ceilingMs = Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** attempt);
    const waitMs = Math.max(retryAfterMs, ceilingMs * (0.5 + random() / 2));
    await delay(clock, Math.min(RETRY_MAX_MS, waitMs), signal);
  }
  return null;
}
