// Asks about the past until somebody can answer; it must ask no more often than a source that is down bears.
import { type Clock, delay } from "../clock.ts";
import { HistoryError } from "../feed/history_error.ts";
import type { Log } from "../observe/log.ts";
import type { SourceName } from "../protocol/server_messages.ts";

export interface UntilAnsweredOptions {
  readonly source: SourceName;
  /** Told of each attempt that failed. */
  readonly failed: () => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const RETRY_BASE_MS = 1_000;
const RETRY_MAX_MS = 30_000;

/**
 * The answer of `ask`, which throws HistoryError while nobody can say; null when the signal aborts first. Throws what is
 * no fault of the source.
 */
export async function untilAnswered<Answer>(
  ask: () => Promise<Answer>,
  { source, failed, clock, random, log, signal }: UntilAnsweredOptions,
): Promise<Answer | null> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    let retryAfterMs = 0;
    try {
      const answer = await ask();
      return signal.aborted ? null : answer;
    } catch (error) {
      if (signal.aborted) return null;
      if (!(error instanceof HistoryError)) throw error;
      log.debug("history_unavailable", { source, error });
      failed();
      ({ retryAfterMs } = error);
    }
    const ceilingMs = Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** attempt);
    const waitMs = Math.max(retryAfterMs, ceilingMs * (0.5 + random() / 2));
    await delay(clock, Math.min(RETRY_MAX_MS, waitMs), signal);
  }
  return null;
}
