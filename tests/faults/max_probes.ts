// How often a database that is down may be tried in a time; it must follow the documented delays and not the guard's code.

/**
 * Attempts that an outage of `elapsedMs` allows when each finds it still there: every delay is at least half of `baseMs`
 * doubled after each attempt, and one attempt was under way when it became known.
 */
export function maxProbes(elapsedMs: number, { baseMs }: { readonly baseMs: number }): number {
  let count = 1;
  for (let at = baseMs / 2, delayMs = baseMs; at <= elapsedMs; at += delayMs, delayMs *= 2) count++;
  return count;
}
