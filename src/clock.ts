// The clock every waiting part is handed, and how it is waited by; feeds, guards and connections must learn the time from
// nothing else.

/** What a timer call returns; only ever handed back to `clearTimeout`. */
export type TimerHandle = unknown;

/** Two times in milliseconds, and timers. */
export interface Clock {
  /** Wall-clock time since the epoch: for instants that are compared with a token's or a database's. */
  now(): number;
  /** Time since some start that nobody sets back: for intervals, delays and ages. */
  monotonicNow(): number;
  setTimeout(callback: () => void, delayMs: number): TimerHandle;
  clearTimeout(handle: TimerHandle): void;
}

/** The process's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicNow: () => performance.now(),
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (handle) => clearTimeout(handle as number),
};

/** Resolves after `delayMs`, or at once when the signal aborts; it never rejects. */
export function delay(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clock.clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.setTimeout(done, delayMs);
    signal.addEventListener("abort", done, { once: true });
  });
}

/** Whether an instant of the wall's clock is less than `maxAgeMs` old; where that was set back behind it, nobody knows. */
export function isYoung(
  instantMs: number,
  { maxAgeMs, clock }: { readonly maxAgeMs: number; readonly clock: Pick<Clock, "now"> },
): boolean {
  const ageMs = clock.now() - instantMs;
  return ageMs >= 0 && ageMs < maxAgeMs;
}

/** Resolves with the work's end, or after `atMostMs` without it; rejects as the work does, where that comes first. */
export async function waitFor(
  work: PromiseLike<unknown>,
  { atMostMs, clock }: { readonly atMostMs: number; readonly clock: Clock },
): Promise<void> {
  let timer: TimerHandle;
  const tooLong = new Promise<void>((resolve) => {
    timer = clock.setTimeout(resolve, atMostMs);
  });
  try {
    await Promise.race([work, tooLong]);
  } finally {
    clock.clearTimeout(timer);
  }
}
