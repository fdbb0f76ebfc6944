// Renews the token of a living socket before it ends, in place. It must never ask for tokens in a loop, whatever clocks
// and answers say, and never end the socket itself: a token that could not be renewed ends it at the service.
import type { Clock, TimerHandle } from "../clock.ts";
import type { AnswerMessage } from "../protocol/server_messages.ts";
import { Backoff } from "./backoff.ts";
import type { Credentials } from "./credentials.ts";
import { PulsewireError } from "./pulsewire_error.ts";
import type { Requests } from "./requests.ts";
import type { ServerClock } from "./server_clock.ts";
import type { Timings } from "./timings.ts";

export interface TokenKeeperOptions {
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly serverClock: ServerClock;
  readonly random: () => number;
  readonly timings: Timings;
  readonly requests: Requests;
  /** What the socket was opened with; null for a ticket. */
  readonly token: string | null;
  /** UTC, ISO 8601. */
  readonly expiresAt: string;
  readonly renewed: (token: string) => void;
  readonly onError: (error: PulsewireError) => void;
}

/** Timers hold 31 bits of milliseconds; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** A clock that is wrong by hours must not make renewals denser than this; the service's notice comes all the same. */
const LEAST_MS = 30_000;

export class TokenKeeper implements Disposable {
  readonly #options: TokenKeeperOptions;
  readonly #backoff: Backoff;
  readonly #leaving = new AbortController();
  #token: string | null;
  #timer: TimerHandle | null = null;
  #isRenewing = false;

  constructor(options: TokenKeeperOptions) {
    this.#options = options;
    const { random, timings: { baseMs, maxMs, minMs } } = options;
    this.#backoff = new Backoff({ baseMs, maxMs, minMs, random });
    this.#token = options.token;
    this.#waitFor(options.expiresAt, 0);
  }

  /** The service says that the token ends soon. */
  expiring(): void {
    if (!this.#isRenewing && this.#options.credentials.canRenew) this.#wait(0);
  }

  [Symbol.dispose](): void {
    this.#leaving.abort();
    this.#clear();
  }

  #waitFor(expiresAt: string, leastMs: number): void {
    const { serverClock, timings, credentials } = this.#options;
    if (!credentials.canRenew) return;
    const leftMs = Date.parse(expiresAt) - serverClock.now() - timings.renewMs;
    // Without an instant the service's notice is all there is.
    if (!Number.isNaN(leftMs)) this.#wait(Math.max(leastMs, leftMs));
  }

  #wait(ms: number): void {
    const { clock } = this.#options;
    this.#clear();
    const isWhole = ms <= MAX_TIMER_MS;
    this.#timer = clock.setTimeout(() => {
      this.#timer = null;
      if (isWhole) void this.#renew();
      else this.#wait(ms - MAX_TIMER_MS);
    }, Math.min(ms, MAX_TIMER_MS));
  }

  #clear(): void {
    if (this.#timer !== null) this.#options.clock.clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #renew(): Promise<void> {
    const { credentials, requests, onError } = this.#options;
    this.#isRenewing = true;
    try {
      const token = await credentials.renewal(this.#leaving.signal);
      if (this.#leaving.signal.aborted) return;
      // The same one again would end at the same time.
      if (token === null || token === this.#token) this.#again();
      else requests.ask({ action: "auth", token }, (answer) => this.#answered(token, answer));
    } catch (error) {
      if (this.#leaving.signal.aborted) return;
      const known = error instanceof PulsewireError
        ? error
        : new PulsewireError("token_failed", "Token could not be had", { cause: error });
      onError(known);
      this.#again();
    }
  }

  #answered(token: string, answer: AnswerMessage): void {
    const { renewed, onError } = this.#options;
    if (answer.type === "authenticated") {
      this.#isRenewing = false;
      this.#token = token;
      this.#backoff.succeed();
      renewed(token);
      this.#waitFor(answer.expires_at, LEAST_MS);
    } else if (answer.type === "error") {
      onError(new PulsewireError(answer.code, answer.message));
      this.#again(answer.retry_after_ms);
    }
  }

  #again(leastMs = 0): void {
    this.#isRenewing = false;
    this.#wait(leastMs + this.#backoff.next());
  }
}
