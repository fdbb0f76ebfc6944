// Asks for what was stored of the rows that a person looks at, so that their trends don't begin empty: a few at a time,
// each once, and none for a while after the service said no.
import type { FleetRow, FleetTable } from "./fleet_table.ts";
import { type Rest, RestError } from "./rest.ts";
import type { ServiceClock } from "./service_clock.ts";
import { TREND_BIN_MS, TREND_BINS } from "./trend.ts";

export interface TrendFillerOptions {
  readonly rest: Rest;
  readonly table: FleetTable;
  readonly clock: ServiceClock;
  readonly changed: () => void;
}

const AT_ONCE = 2;
const PAUSE_MS = 5_000;

export class TrendFiller implements Disposable {
  readonly #options: TrendFillerOptions;
  readonly #leaving = new AbortController();
  #wanted: readonly FleetRow[] = [];
  #running = 0;
  #pausedUntil = 0;

  constructor(options: TrendFillerOptions) {
    this.#options = options;
  }

  /** The rows that are seen now; those that were wanted before and are not seen any more are left out. */
  want(rows: readonly FleetRow[]): void {
    this.#wanted = rows.filter(({ isFilled }) => !isFilled);
    this.#next();
  }

  [Symbol.dispose](): void {
    this.#leaving.abort();
    this.#wanted = [];
  }

  #next(): void {
    while (this.#running < AT_ONCE && Date.now() >= this.#pausedUntil) {
      const row = this.#wanted.find(({ isFilled }) => !isFilled);
      if (row === undefined) return;
      row.isFilled = true;
      this.#running++;
      void this.#fill(row).finally(() => {
        this.#running--;
        if (!this.#leaving.signal.aborted) this.#next();
      });
    }
  }

  async #fill(row: FleetRow): Promise<void> {
    const { rest, table, clock, changed } = this.#options;
    const { trend } = row;
    const metric = table.metricOf(row);
    if (metric === null) return;
    try {
      const { samples } = await rest.samples({
        deviceId: row.deviceId,
        fromMs: clock.now() - TREND_BIN_MS * TREND_BINS,
        resolutionSeconds: TREND_BIN_MS / 1_000,
        limit: TREND_BINS + 1,
        signal: this.#leaving.signal,
      });
      trend.fill(samples.flatMap(({ timestamp, metrics }) => {
        const value = metrics[metric];
        return typeof value === "number" ? [{ timeMs: Date.parse(timestamp), value }] : [];
      }));
      changed();
    } catch (error) {
      if (this.#leaving.signal.aborted) return;
      row.isFilled = false;
      this.#pausedUntil = Date.now() +
        (error instanceof RestError ? error.retryAfterMs : PAUSE_MS);
    }
  }
}
