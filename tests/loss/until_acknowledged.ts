// Repeats one write until the database has acknowledged it, as a writer that may lose nothing does; it must give up with
// the cause when that takes longer than any outage of the suite.
import { pause } from "../support/until.ts";

const GIVE_UP_MS = 90_000;
const RETRY_MS = 50;

/** Returns how often the write failed before; throws when the signal aborts first. */
export async function untilAcknowledged(
  write: () => Promise<unknown>,
  { signal }: { signal: AbortSignal },
): Promise<number> {
  const deadline = performance.now() + GIVE_UP_MS;
  for (let failures = 0;; failures++) {
    try {
      await write();
      return failures;
    } catch (cause) {
      signal.throwIfAborted();
      if (performance.now() > deadline) {
        throw new Error(`Cannot write: ${failures + 1} attempts failed`, { cause });
      }
      await pause(RETRY_MS);
    }
  }
}
