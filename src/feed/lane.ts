// One kind of read of one tenant: at most one tick's read under way, a pause after failures that are the tenant's own,
// and one log line when reading starts to fail or works again. It knows no interval and no subscriber.
import type { Clock } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import { SourceError } from "../sources/source_error.ts";

export interface LaneOptions {
  readonly source: "telemetry" | "alerts";
  readonly tenantId: string;
  /** First pause after a failure of the tenant's own; doubles up to `retryMaxMs`. */
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

/** The share of its time that a tenant may keep a database busy; slower reads stretch the interval. */
const MAX_READ_SHARE = 0.5;

export class Lane {
  readonly #options: LaneOptions;
  #isReading = false;
  #failures = 0;
  #isLogged = false;
  #pausedUntil = 0;
  #restsUntil = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** Whether reading is left off for a while because its last failure was the tenant's own. */
  get isPaused(): boolean {
    return this.#options.clock.monotonicNow() < this.#pausedUntil;
  }

  /** Whether a tick may read now: none is reading, no pause lasts, and the last read has had its share of the time. */
  get isReady(): boolean {
    return !this.#isReading && !this.isPaused &&
      this.#options.clock.monotonicNow() >= this.#restsUntil;
  }

  /**
   * Runs a tick's read and returns what it brought, or null when it failed. It never rejects. A read that itself
   * returns null has learned nothing and counts as neither success nor failure.
   */
  async read<T>(signal: AbortSignal, read: () => Promise<T | null>): Promise<T | null> {
    const { clock } = this.#options;
    const startedAt = clock.monotonicNow();
    this.#isReading = true;
    const result = await this.attempt(signal, read);
    this.#isReading = false;
    if (result !== null) {
      // Ticks are left out until the read's time is at most its share of the time between two reads.
      this.#restsUntil = startedAt + (clock.monotonicNow() - startedAt) / MAX_READ_SHARE;
    }
    return result;
  }

  /** The same for a first read, which may run beside a tick's. */
  async attempt<T>(signal: AbortSignal, read: () => Promise<T | null>): Promise<T | null> {
    try {
      const result = await read();
      if (result !== null) this.#recovered();
      return result;
    } catch (error) {
      if (!signal.aborted) this.#failed(error);
      return null;
    }
  }

  #recovered(): void {
    this.#failures = 0;
    this.#pausedUntil = 0;
    if (!this.#isLogged) return;
    this.#isLogged = false;
    const { log, source, tenantId } = this.#options;
    log.info("read_recovered", { source, tenant: tenantId });
  }

  #failed(error: unknown): void {
    const { clock, log, source, tenantId, retryBaseMs, retryMaxMs, random } = this.#options;
    // The guard keeps it to itself that everybody is denied: what comes through is this tenant's.
    const isOwn = error instanceof SourceError && error.kind !== "unavailable";
    if (isOwn) {
      const ceilingMs = Math.min(retryMaxMs, retryBaseMs * 2 ** this.#failures);
      this.#failures++;
      this.#pausedUntil = clock.monotonicNow() + ceilingMs * (0.5 + random() / 2);
    }
    // The source's guard tells once for everybody that a database is down; a line a tenant would bury it.
    if (this.#isLogged || (error instanceof SourceError && error.kind === "unavailable")) return;
    this.#isLogged = true;
    log.warning("read_failed", { source, tenant: tenantId, error });
  }
}
