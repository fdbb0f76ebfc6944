// Notes how late the event loop comes to a timer, which is how long everything else waits, too. It must never keep the
// process alive.
import type { Metrics } from "./metrics.ts";

const INTERVAL_MS = 50;

/** Watches until disposed. */
export function watchLoopLag(metrics: Pick<Metrics, "loopLag">): Disposable {
  let dueAt = performance.now() + INTERVAL_MS;
  const timer = setInterval(() => {
    const now = performance.now();
    metrics.loopLag(now - dueAt);
    dueAt = now + INTERVAL_MS;
  }, INTERVAL_MS);
  Deno.unrefTimer(timer);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
