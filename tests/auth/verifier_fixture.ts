// What the tests of auth share: a clock that is set by hand, a verifier with usual options, and the check of a refusal.
import assert from "node:assert/strict";
import { AuthError, type AuthErrorCode } from "../../src/auth/auth_error.ts";
import { createVerifier, type Verifier, type VerifierOptions } from "../../src/auth/verifier.ts";
import { type Clock, systemClock, type TimerHandle } from "../../src/clock.ts";
import { TEST_SECRET } from "../support/tokens.ts";

/** Time and timers move only when a test says so; a loaded machine can't make a time-out. */
export class HandClock implements Clock {
  nowMs: number;
  readonly #timers = new Map<TimerHandle, () => void>();

  constructor(nowMs = Date.UTC(2026, 0, 1)) {
    this.nowMs = nowMs;
  }

  /** Timers that were neither fired nor cleared. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.nowMs;
  }

  monotonicNow(): number {
    return this.nowMs;
  }

  setTimeout(callback: () => void, delayMs: number): TimerHandle {
    const handle = { delayMs };
    this.#timers.set(handle, callback);
    return handle;
  }

  clearTimeout(handle: TimerHandle): void {
    this.#timers.delete(handle);
  }

  /** Fires every timer that is set, as if its time had come. */
  expireTimers(): void {
    for (const [handle, callback] of [...this.#timers]) {
      this.#timers.delete(handle);
      callback();
    }
  }
}

export function verifierWith(options: Partial<VerifierOptions> = {}): Verifier {
  return createVerifier({
    keys: { kind: "secret", secret: TEST_SECRET },
    clockToleranceSeconds: 0,
    tenantClaim: "tenant_id",
    roleClaim: "role",
    allowedRoles: ["customer_admin", "customer_viewer"],
    clock: systemClock,
    ...options,
  });
}

/** Expects the token to be refused with the code, by an error that holds no part of the token. */
export async function refuses(
  verifier: Verifier,
  token: string,
  code: AuthErrorCode = "invalid_token",
): Promise<AuthError> {
  const outcome = await verifier.verify(token).catch((error) => error);
  assert.ok(outcome instanceof AuthError, `expected a refusal, got ${Deno.inspect(outcome)}`);
  assert.equal(outcome.code, code, Deno.inspect(outcome));
  const told = Deno.inspect(outcome, { depth: 10 });
  for (const part of token.split(".").filter((part) => part.length > 8)) {
    assert.ok(!told.includes(part.slice(0, 64)), "the error holds a part of the token");
  }
  return outcome;
}
