// One kind of read of one tenant: at most one tick's read under way, a pause after failures that are the tenant's own,
// one log line when reading starts to fail or works again, and what clients may know of it. It knows no interval and no
// subscriber.
import type { Clock } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import type { SourceName } from "../protocol/server_messages.ts";
import { SourceError } from "../sources/source_error.ts";
import type { SourceState } from "../sources/source_guard.ts";
import type { SourceStatus } from "./seam.ts";

export interface LaneOptions {
  readonly source: SourceName;
  readonly tenantId: string;
  /** First pause after a failure of the tenant's own; doubles up to `retryMaxMs`. */
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** How the database is for everybody, as the guard before it sees it. */
  readonly state: () => SourceState;
  /** Told when the source begins to fail this tenant, when the next attempt is put off, and when it serves again. */
  readonly changed: (status: SourceStatus) => void;
}

/** The share of its time that a tenant may keep a database busy; slower reads stretch the interval. */
const MAX_READ_SHARE = 0.5;
/** Intervals without a read that are more than a lost one: three that failed at once, or one that hung. */
const UNREAD_INTERVALS = 2.5;

export class Lane {
  readonly #options: LaneOptions;
  #isReading = false;
  #failures = 0;
  /** Reads in a row that the database did not answer. */
  #unanswered = 0;
  #isLogged = false;
  #pausedUntil = 0;
  #restsUntil = 0;
  /** When the source last answered the read under way. */
  #answeredAt: number | null = null;
  #status: SourceStatus | null = null;
  #servedAt: number;
  #shareMs = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#servedAt = options.clock.monotonicNow();
  }

  /** What clients were told last; null while there was nothing to tell. */
  get status(): SourceStatus | null {
    return this.#status;
  }

  get isReading(): boolean {
    return this.#isReading;
  }

  /** Milliseconds since the last read that brought something began, or since somebody came to want one. */
  get ageMs(): number {
    return this.#options.clock.monotonicNow() - this.#servedAt;
  }

  /** How long no further tick may read after the last one's read began, in milliseconds. */
  get shareMs(): number {
    return this.#shareMs;
  }

  /** Whether reading is left off for a while because its last failure was the tenant's own. */
  get isPaused(): boolean {
    return this.#options.clock.monotonicNow() < this.#pausedUntil;
  }

  /** Whether a tick may read now: none is reading, no pause lasts, and the last read has had its share of the time. */
  get isReady(): boolean {
    return !this.#isReading && this.restMs <= 0;
  }

  /** How long it is until pause and rest are over; not positive when they are. */
  get restMs(): number {
    return Math.max(this.#pausedUntil, this.#restsUntil) - this.#options.clock.monotonicNow();
  }

  /**
   * Runs a tick's read and returns what it brought, or null when it failed. It never rejects. A read that itself
   * returns null has learned nothing and counts as neither success nor failure.
   */
  async read<T>(signal: AbortSignal, read: () => Promise<T | null>): Promise<T | null> {
    const { clock } = this.#options;
    const startedAt = clock.monotonicNow();
    this.#isReading = true;
    this.#answeredAt = null;
    const result = await this.attempt(signal, read);
    this.#isReading = false;
    if (result !== null) {
      // Ticks are left out until the read's time is at most its share of the time between two reads.
      const endedAt = this.#answeredAt ?? clock.monotonicNow();
      this.#shareMs = (endedAt - startedAt) / MAX_READ_SHARE;
      this.#restsUntil = startedAt + this.#shareMs;
    }
    return result;
  }

  /** Somebody wants the source to be read, and nobody did before. */
  wanted(): void {
    this.#servedAt = this.#options.clock.monotonicNow();
  }

  /** Notes that the source has answered the tick's read: what sending it takes is no read's time. */
  answered(): void {
    this.#answeredAt = this.#options.clock.monotonicNow();
  }

  /** The same for a first read, which may run beside a tick's. */
  async attempt<T>(signal: AbortSignal, read: () => Promise<T | null>): Promise<T | null> {
    const startedAt = this.#options.clock.monotonicNow();
    try {
      const result = await read();
      if (result !== null) this.#servedAt = Math.max(this.#servedAt, startedAt);
      if (result !== null && !signal.aborted) this.#recovered();
      return result;
    } catch (error) {
      if (!signal.aborted) this.#failed(error);
      return null;
    }
  }

  #recovered(): void {
    this.#failures = 0;
    this.#unanswered = 0;
    this.#pausedUntil = 0;
    this.#serves();
    if (!this.#isLogged) return;
    this.#isLogged = false;
    const { log, source, tenantId } = this.#options;
    log.info("read_recovered", { source, tenant: tenantId });
  }

  #failed(error: unknown): void {
    const { clock, log, source, tenantId, retryBaseMs, retryMaxMs, random } = this.#options;
    const kind = error instanceof SourceError ? error.kind : "other";
    // The guard keeps it to itself that everybody is denied: what comes through is this tenant's.
    const isOwn = kind !== "unavailable" && kind !== "other";
    if (isOwn) {
      const ceilingMs = Math.min(retryMaxMs, retryBaseMs * 2 ** this.#failures);
      this.#failures++;
      this.#pausedUntil = clock.monotonicNow() + ceilingMs * (0.5 + random() / 2);
    }
    this.#unanswered = kind === "unavailable" ? this.#unanswered + 1 : 0;
    this.#judge(error);
    // The source's guard tells once for everybody that a database is down; a line of each tenant whose read was under way
    // would bury it.
    const isOwnMiss = this.#isUnreadAlone && this.#unanswered > 1;
    if (this.#isLogged || (kind === "unavailable" && !isOwnMiss)) return;
    this.#isLogged = true;
    log.warning("read_failed", { source, tenant: tenantId, kind, error });
  }

  /** Whether this tenant can't be read for long while the database may well serve others: its reads may be too slow. */
  get #isUnreadAlone(): boolean {
    const { retryBaseMs, state } = this.#options;
    return state().state !== "degraded" && this.ageMs > UNREAD_INTERVALS * retryBaseMs;
  }

  #judge(error: unknown): void {
    const { clock, source, retryBaseMs, state } = this.#options;
    const shared = state();
    if (shared.state === "degraded") {
      this.#become({ source, state: "degraded", since: shared.since, retryAt: shared.retryAt });
      return;
    }
    const kind = error instanceof SourceError ? error.kind : null;
    // One lost read is no state yet, and a tenant without a bucket is merely new: the database has answered.
    if (kind === "unavailable" && !this.#isUnreadAlone) return;
    if (kind === "missing") {
      this.#serves();
      return;
    }
    const now = clock.now();
    const isPaused = kind !== null && kind !== "unavailable";
    const pauseMs = isPaused ? this.#pausedUntil - clock.monotonicNow() : retryBaseMs;
    const since = this.#status?.state === "degraded" ? this.#status.since : now;
    this.#become({ source, state: "degraded", since, retryAt: now + Math.round(pauseMs) });
  }

  #serves(): void {
    if (this.#status?.state !== "degraded") return;
    const { clock, source, state } = this.#options;
    const shared = state();
    const isShared = shared.state === "ok" && shared.since >= this.#status.since;
    const since = isShared ? shared.since : clock.now();
    this.#become({ source, state: "ok", since, retryAt: null });
  }

  #become(status: SourceStatus): void {
    const before = this.#status;
    this.#status = status;
    // Who was told already is not told again; who comes later is told of the next attempt, and not of the first.
    const isTold = before?.state === status.state && before.retryAt === status.retryAt;
    if (!isTold) this.#options.changed(status);
  }
}
