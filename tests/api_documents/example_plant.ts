// A service at the examples' instant, on databases that hold what the examples tell of; its clock moves while a test waits.
import assert from "node:assert/strict";
import { EXAMPLE_PLANT } from "../../tools/api/example_plant.ts";
import { type FakeClock, fakeClock } from "../support/fake_clock.ts";
import { type FakeSources, fakeSources } from "../support/fake_sources.ts";
import { startService, type TestService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { pause } from "../support/until.ts";

export interface Plant extends AsyncDisposable {
  readonly service: TestService;
  readonly sources: FakeSources;
  readonly clock: FakeClock;
  token(claims?: Readonly<Record<string, unknown>>): Promise<string>;
  /** Lets the plant's time pass until the promise settles. */
  passing<T>(promise: Promise<T>): Promise<T>;
}

/** Of the plant's time, and of ours between two steps: slow enough that nothing there grows old while a test waits. */
const STEP_MS = 10;
const PAUSE_MS = 2;
/** What says when something was done rather than what: it is of its kind, and not of its value. */
const CLOCK_FIELDS = [
  "as_of",
  "expires_at",
  "token_expires_at",
  "after_ms",
  "retry_in_ms",
];

export async function startPlant(settings: Readonly<Record<string, string>> = {}): Promise<Plant> {
  const sources = fakeSources();
  for (const [deviceId, samples] of Object.entries(EXAMPLE_PLANT.samples)) {
    for (const sample of samples) sources.put("acme", deviceId, sample);
  }
  sources.setAlerts("acme", EXAMPLE_PLANT.alerts);
  const clock = fakeClock(EXAMPLE_PLANT.nowMs);
  const service = await startService({
    sources,
    clock,
    settings: { WS_POLL_SECONDS: "5", ...settings },
  });
  const passing = async <T>(promise: Promise<T>): Promise<T> => {
    let isSettled = false;
    const settled = () => void (isSettled = true);
    promise.then(settled, settled);
    while (!isSettled) {
      await clock.advance(STEP_MS);
      await pause(PAUSE_MS);
    }
    return await promise;
  };
  return {
    service,
    sources,
    clock,
    token: (claims = {}) => signToken(claims, { nowMs: clock.now() }),
    passing,
    [Symbol.asyncDispose]: () => passing(service.stop()),
  };
}

/** That a message is the documented one, but for when it was sent. */
export function assertDocumented(actual: unknown, documented: unknown, name: string): void {
  assert.deepEqual(withoutClock(actual), withoutClock(documented), name);
}

function withoutClock(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutClock);
  // History that is cut off begins so many seconds before now.
  const clockFields = "reason" in value && value.reason === "too_old"
    ? [...CLOCK_FIELDS, "from"]
    : CLOCK_FIELDS;
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [
      name,
      clockFields.includes(name) ? `a ${typeof field}` : withoutClock(field),
    ]),
  );
}
