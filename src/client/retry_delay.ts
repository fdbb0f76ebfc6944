// When a refused message is worth sending again; it must never say at once.
import type { ErrorMessage } from "../protocol/server_messages.ts";

/** The least wait, and the one where the service does not say. */
const LEAST_MS = 5_000;

/** Milliseconds; null where the same message would be refused again. */
export function retryDelayOf({ code, retry_after_ms: afterMs }: ErrorMessage): number | null {
  const isPassing = afterMs !== undefined || code === "internal" || code === "source_unavailable";
  return isPassing ? Math.max(afterMs ?? 0, LEAST_MS) : null;
}
