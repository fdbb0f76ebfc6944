// When a tenant's first tick is due: by chance, and away from the ticks of others, so that no tenant's reads wait for what
// another's are sent. It keeps nothing.

export interface FirstTickOptions {
  /** On the monotonic clock, as all instants here. */
  readonly now: number;
  readonly intervalMs: number;
  /** An instant at which each of the other tenants ticks or has ticked. */
  readonly others: readonly number[];
  /** A number in [0, 1). */
  readonly random: () => number;
}

const CANDIDATES = 8;
/** Among more than so many chance alone leaves no gap that would be worth the search. */
const MAX_OTHERS = 64;

/** Of some instants within the next interval, the one that is farthest from all other tenants' ticks. */
export function firstTick({ now, intervalMs, others, random }: FirstTickOptions): number {
  const candidates = others.length === 0 || others.length > MAX_OTHERS ? 1 : CANDIDATES;
  let [best, farthest] = [now, -1];
  for (let nth = 0; nth < candidates; nth++) {
    const candidate = now + random() * intervalMs;
    const distances = others.map((other) => distance(candidate - other, intervalMs));
    const nearest = Math.min(intervalMs, ...distances);
    if (nearest > farthest) [best, farthest] = [candidate, nearest];
  }
  return best;
}

/** How far two ticks are apart that come again every interval. */
function distance(apartMs: number, intervalMs: number): number {
  const rest = Math.abs(apartMs) % intervalMs;
  return Math.min(rest, intervalMs - rest);
}
