// Whether traffic should come here: every database was found right and the issuer answered, once, and nobody is leaving.
// A database that fails later does not turn it: all instances would leave at once, and those who follow the other one
// with them.
import { type Clock, waitFor } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import type { SourceName } from "../protocol/server_messages.ts";

export interface ReadinessOptions {
  /** What each source is doing: `unknown` until it was read for the first time. */
  readonly states: () => Readonly<Record<SourceName, { readonly state: string }>>;
  /** Reaches each source once; never throws. */
  readonly check: (signal: AbortSignal) => Promise<Readonly<Record<SourceName, Check>>>;
  /** The keys to verify tokens with; `reach` never rejects. */
  readonly keys: { readonly isReached: () => boolean; readonly reach: () => Promise<unknown> };
  readonly isDraining: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

type Check =
  | { readonly ok: true }
  | { readonly ok: false; readonly kind: string; readonly message: string };

export interface ReadinessReport {
  readonly status: "ready" | "not_ready";
  readonly draining: boolean;
  readonly keys: "ok" | "unreached";
  /** What each is doing; until it was found right, the kind of fault that was found. */
  readonly sources: Readonly<Record<SourceName, string>>;
}

/** A report waits this long for what is being reached, so that a prober gets an answer whatever hangs. */
const REPORT_WAIT_MS = 1_000;
/** Databases are looked at no more often, however many ask. */
const LOOK_PAUSE_MS = 1_000;

const SOURCES: readonly SourceName[] = ["telemetry", "alerts"];

export class Readiness {
  readonly #options: ReadinessOptions;
  readonly #found = new Set<SourceName>();
  /** What is wrong with those that were not found right yet. */
  readonly #faults = new Map<SourceName, string>();
  readonly #told = new Map<SourceName, string>();
  #looking: Promise<void> | null = null;
  #lookedAt = -Infinity;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** Looks at what was not found right yet, and says in the log what is wrong. One look at a time. */
  look(): Promise<void> {
    if (this.#looking !== null) return this.#looking;
    const { clock, keys } = this.#options;
    const areSourcesDue = this.#found.size < SOURCES.length &&
      clock.monotonicNow() - this.#lookedAt >= LOOK_PAUSE_MS;
    const looks: Promise<unknown>[] = [];
    if (areSourcesDue) looks.push(this.#check());
    if (!keys.isReached()) looks.push(keys.reach());
    if (looks.length === 0) return Promise.resolve();
    this.#looking = Promise.all(looks).then(() => {}).finally(() => this.#looking = null);
    return this.#looking;
  }

  async report(): Promise<ReadinessReport> {
    const { states, keys, isDraining, clock } = this.#options;
    await waitFor(this.look(), { atMostMs: REPORT_WAIT_MS, clock });
    const [now, hasKeys] = [states(), keys.isReached()];
    const standing = (source: SourceName) =>
      (this.#found.has(source) ? undefined : this.#faults.get(source)) ?? now[source].state;
    const isReady = hasKeys && !isDraining() && this.#found.size === SOURCES.length;
    return {
      status: isReady ? "ready" : "not_ready",
      draining: isDraining(),
      keys: hasKeys ? "ok" : "unreached",
      sources: { telemetry: standing("telemetry"), alerts: standing("alerts") },
    };
  }

  async #check(): Promise<void> {
    const { check, log, signal } = this.#options;
    const checks = await check(signal);
    this.#lookedAt = this.#options.clock.monotonicNow();
    for (const source of SOURCES) {
      const result = checks[source];
      // A bucket that nobody has yet is nothing wrong. Who is refused would replace instances that are served.
      if (result.ok || result.kind === "missing") this.#found.add(source);
      else this.#faults.set(source, result.kind);
      if (signal.aborted || result.ok || this.#told.get(source) === result.message) continue;
      this.#told.set(source, result.message);
      log.error("source_check_failed", { source, kind: result.kind, error: result.message });
    }
  }
}
