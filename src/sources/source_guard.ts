// Stands before one database: bounds the reads under way, ends those that take too long, and while the database is
// down lets through one attempt per retry delay, however many tenants ask. It never retries by itself.
//
// A breaker of our own rather than a library's: an attempt that its feed gave up must count neither as success nor
// as failure, those who come during an attempt must be refused and not queued, and the retry instant is shown to clients.
import type { Clock } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import { inSpan } from "../observe/traces.ts";
import type { SourceName } from "../protocol/server_messages.ts";
import { SourceError } from "./source_error.ts";

export interface SourceGuardOptions {
  /** Name of the source in logs and notices. */
  readonly name: SourceName;
  /** Reads that may be under way at once; the others wait their turn. */
  readonly maxReads: number;
  readonly timeoutMs: number;
  /** The first delay after the circuit opened; it doubles with each failed attempt up to `retryMaxMs`. */
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Told of each read that must wait for its turn. */
  readonly crowded?: () => void;
  /** Told of each read that ended; `fault` names what kept it from answering. One that nobody wants any more is not told. */
  readonly ended?: (
    outcome: { readonly durationMs: number; readonly fault: string | null },
  ) => void;
  /** A number in [0, 1) that spreads the retry delays. */
  readonly random?: () => number;
}

export interface SourceState {
  readonly state: "unknown" | "ok" | "degraded";
  /** When it became so, in milliseconds since the epoch. */
  readonly since: number;
  /** When the next attempt may be made; null unless degraded. */
  readonly retryAt: number | null;
}

/** Failures in a row, over all tenants, after which the circuit opens: one lost read is no outage. */
const FAILURES_TO_OPEN = 3;

export class SourceGuard {
  readonly #options: SourceGuardOptions;
  readonly #waiting: Array<() => void> = [];
  #reading = 0;
  #failures = 0;
  /** Probes that failed since the circuit opened; null while it is closed. */
  #failedProbes: number | null = null;
  #isProbing = false;
  /** On the monotonic clock. */
  #nextProbeAt = 0;
  /** When a read was answered last, on the monotonic clock. */
  #answeredAt = -Infinity;
  /** What the last attempt of this outage ran into. */
  #fault: unknown;
  #state: SourceState;
  /** When the outage began, on the monotonic clock. */
  #degradedAt = 0;
  /** Kinds of faults that the log was told of in this outage; what only an operator can mend must not go unsaid. */
  readonly #told = new Set<string>();

  constructor(options: SourceGuardOptions) {
    this.#options = options;
    this.#state = { state: "unknown", since: options.clock.now(), retryAt: null };
  }

  get state(): SourceState {
    return this.#state;
  }

  /** Reads under way now. */
  get reading(): number {
    return this.#reading;
  }

  /**
   * Runs one read in its turn and under the time-out. Throws SourceError `unavailable` at once while the circuit
   * is open, its cause what keeps it open; what the read threw otherwise, and the signal's reason when it aborts first.
   * `isAside` is a single client's question, beside the ticks.
   */
  async run<T>(
    signal: AbortSignal,
    read: (signal: AbortSignal) => Promise<T>,
    { isAside = false }: { readonly isAside?: boolean } = {},
  ): Promise<T> {
    this.#refuseWhileOpen(isAside);
    return await inSpan(
      `read ${this.#options.name}`,
      () => this.#run(signal, { read, isAside }),
    );
  }

  async #run<T>(
    signal: AbortSignal,
    { read, isAside }: {
      readonly read: (signal: AbortSignal) => Promise<T>;
      readonly isAside: boolean;
    },
  ): Promise<T> {
    await this.#enter(signal);
    try {
      signal.throwIfAborted();
      this.#refuseWhileOpen(isAside);
      return await this.#attempt(signal, read);
    } finally {
      this.#reading--;
      this.#waiting.shift()?.();
    }
  }

  async #attempt<T>(signal: AbortSignal, read: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, ended } = this.#options;
    const startedAt = clock.monotonicNow();
    const tell = (fault: string | null) =>
      ended?.({ durationMs: clock.monotonicNow() - startedAt, fault });
    const isProbe = this.#failedProbes !== null;
    if (isProbe) this.#isProbing = true;
    try {
      const result = await this.#withDeadline(signal, read);
      tell(null);
      this.#succeeded(isProbe);
      return result;
    } catch (error) {
      if (signal.aborted) throw error;
      tell(error instanceof SourceError ? error.kind : "other");
      // While others were answered it was the question that took too long, which one tenant may ask on and on.
      const isTooLong = Math.ceil(clock.monotonicNow() - startedAt) >= this.#options.timeoutMs &&
        this.#answeredAt >= startedAt;
      if (!isTooLong) this.#failed(error, isProbe);
      throw this.#passedOn(error);
    } finally {
      if (isProbe) this.#isProbing = false;
    }
  }

  /**
   * Whoever asks on and on would make every attempt, and one that takes too long would keep the source from all: an
   * interval's ticks go first.
   */
  #refuseWhileOpen(isAside: boolean): void {
    if (this.#failedProbes === null) return;
    const { clock, retryBaseMs } = this.#options;
    const mayProbeAt = this.#nextProbeAt + (isAside ? retryBaseMs : 0);
    if (this.#isProbing || clock.monotonicNow() < mayProbeAt) {
      throw new SourceError(
        "unavailable",
        `Source "${this.#options.name}" is waiting for its next attempt`,
        { cause: this.#fault },
      );
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#reading < this.#options.maxReads) {
      this.#reading++;
      return;
    }
    this.#options.crowded?.();
    await new Promise<void>((resolve, reject) => {
      const turn = () => {
        signal.removeEventListener("abort", leave);
        this.#reading++;
        resolve();
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1);
        reject(signal.reason);
      };
      this.#waiting.push(turn);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  async #withDeadline<T>(
    signal: AbortSignal,
    read: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { clock, timeoutMs, name } = this.#options;
    // One of its own and not `AbortSignal.any`, which stays with the feed's signal until the whole heap is collected.
    const either = new AbortController();
    const stop = () => either.abort(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    const timer = clock.setTimeout(() => {
      const message = `Source "${name}" did not answer within ${timeoutMs} ms`;
      either.abort(new SourceError("unavailable", message));
    }, timeoutMs);
    try {
      // A driver may be deaf to its signal; the reader must not be.
      return await Promise.race([read(either.signal), rejectionOf(either.signal)]);
    } finally {
      clock.clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  }

  /** That everybody is denied was told once, for all tenants: to each of them the source is only away. */
  #passedOn(error: unknown): unknown {
    const isTold = this.#state.state === "degraded" && error instanceof SourceError &&
      error.kind === "denied";
    if (!isTold) return error;
    const message = `Source "${this.#options.name}" can't be read until an operator acts`;
    return new SourceError("unavailable", message, { cause: error });
  }

  #succeeded(isProbe: boolean): void {
    // A read that began before the circuit opened tells of the time before: its answer counts, its success doesn't.
    if (this.#failedProbes !== null && !isProbe) return;
    this.#answeredAt = this.#options.clock.monotonicNow();
    this.#failures = 0;
    this.#failedProbes = null;
    this.#fault = undefined;
    if (this.#state.state === "ok") return;
    const { clock, log, name } = this.#options;
    if (this.#state.state === "degraded") {
      const degradedMs = Math.round(clock.monotonicNow() - this.#degradedAt);
      log.info("source_recovered", { source: name, degraded_ms: degradedMs });
    }
    this.#state = { state: "ok", since: clock.now(), retryAt: null };
  }

  #failed(error: unknown, isProbe: boolean): void {
    // A tenant's missing bucket or a refused query is an answer: the database itself is well.
    if (error instanceof SourceError && (error.kind === "missing" || error.kind === "rejected")) {
      this.#succeeded(isProbe);
      return;
    }
    this.#failures++;
    // Reads that began before the circuit opened and fail after it say nothing new.
    if (this.#failedProbes !== null && !isProbe) return;
    if (this.#failedProbes === null && this.#failures < FAILURES_TO_OPEN) return;
    const failedProbes = this.#failedProbes === null ? 0 : this.#failedProbes + 1;
    this.#failedProbes = failedProbes;
    this.#fault = error;
    const { clock, log, name, retryBaseMs, retryMaxMs, random = Math.random } = this.#options;
    const ceilingMs = Math.min(retryMaxMs, retryBaseMs * 2 ** failedProbes);
    const delayMs = Math.round(ceilingMs * (0.5 + random() / 2));
    const now = clock.now();
    this.#nextProbeAt = clock.monotonicNow() + delayMs;
    if (this.#state.state !== "degraded") {
      this.#told.clear();
      this.#degradedAt = clock.monotonicNow();
    }
    const kind = error instanceof SourceError ? error.kind : "unavailable";
    if (!this.#told.has(kind)) {
      this.#told.add(kind);
      log.error("source_degraded", { source: name, kind, error, retry_in_ms: delayMs });
    }
    const since = this.#state.state === "degraded" ? this.#state.since : now;
    this.#state = { state: "degraded", since, retryAt: now + delayMs };
  }
}

/** A promise that never resolves and rejects with the signal's reason. */
function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
