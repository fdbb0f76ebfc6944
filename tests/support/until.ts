// Waits for what must come about by itself, with a bound; a test must never sleep and hope.
import assert from "node:assert/strict";

/** Polls until the condition holds; fails after `withinMs`, by default longer than a busy machine could take. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  { withinMs = 30_000, what = "a condition" }: { withinMs?: number; what?: string } = {},
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > deadline) assert.fail(`${what} has not come about within ${withinMs} ms`);
    await pause(5);
  }
}

/** Only to prove that nothing happens, or to let time pass that is itself under test. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
