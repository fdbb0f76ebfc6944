// What every check is handed; it holds no check.
import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { Log } from "../observe/log.ts";

export interface CheckContext {
  readonly config: Config;
  /** Null: what needs a tenant is skipped. */
  readonly tenantId: string | null;
  readonly otherTenantId: string | null;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export const NO_TENANT = "no tenant is named";
export const NAME_A_TENANT = "name one with --tenant";

/** What a driver says of its own time-outs says more; this one is for a driver that says nothing. */
const GRACE_MS = 3_000;

/** Falls with the check, and when one question has taken longer than a read may. */
export function inTime({ config, signal }: CheckContext): AbortSignal {
  const withinMs = config.READ_TIMEOUT_SECONDS * 1_000 + GRACE_MS;
  return AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
}
