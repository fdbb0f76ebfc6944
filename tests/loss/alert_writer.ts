// Opens, updates and closes alerts in the table one statement after the other, some within one breath, and notes when; it
// must repeat a statement until it is acknowledged, and repeating must change nothing.
import type postgres from "postgres";
import type { TestPostgres } from "../support/postgres.ts";
import { pause } from "../support/until.ts";
import { openDurableConnection } from "./durable_connection.ts";
import { TENANT } from "./sample_store.ts";
import { untilAcknowledged } from "./until_acknowledged.ts";

export interface AlertWriterOptions {
  readonly postgres: TestPostgres;
  readonly deviceId: string;
  /** From one alert to the next. */
  readonly everyMs: number;
}

export interface WrittenAlert {
  readonly alertId: number;
  /** When the statement was first tried, in milliseconds since the epoch. */
  readonly openedAt: number;
  /** When closing it was acknowledged; null while it is open. */
  closedAt: number | null;
}

/** A row as the table holds it. */
export interface StoredAlert {
  readonly alertId: number;
  readonly isOpen: boolean;
  readonly severity: number;
  readonly summary: string;
}

/** Statements that an alert lives through before it is updated, and before it is closed. */
const UPDATE_AFTER = 2;
const CLOSE_AFTER = 5;

export class AlertWriter implements AsyncDisposable {
  /** In the order of their ids: 1, 2, 3 …; what is here is acknowledged. */
  readonly written: WrittenAlert[] = [];
  readonly #options: AlertWriterOptions;
  readonly #sql: postgres.Sql;
  readonly #abandoned = new AbortController();
  readonly #work: Promise<void>;
  #isEnding = false;
  /** Since when a statement waits for its acknowledgement, on the monotonic clock; null while none does. */
  #writingSince: number | null = null;
  /** Statements that failed and were made again. */
  failures = 0;

  constructor(options: AlertWriterOptions) {
    this.#options = options;
    this.#sql = openDurableConnection(options.postgres);
    this.#work = this.#write();
    // Whoever ends the writer is told.
    this.#work.catch(() => {});
  }

  /** How long the database has not acknowledged what it was given. */
  get blockedMs(): number {
    return this.#writingSince === null ? 0 : performance.now() - this.#writingSince;
  }

  /** Writes no more; resolves when all that was begun is acknowledged. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#work;
  }

  /** Every alert there is, past the policies. */
  async readAll(): Promise<readonly StoredAlert[]> {
    const rows = await this.#sql.unsafe(
      `SELECT id::text, status = 'OPEN' AND closed_at IS NULL AS is_open, severity, summary
       FROM fleet_alert WHERE tenant_id = $1 ORDER BY fleet_alert.id`,
      [TENANT],
    );
    return rows.map(({ id, is_open: isOpen, severity, summary }) => ({
      alertId: Number(id),
      isOpen,
      severity,
      summary,
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    this.#abandoned.abort();
    await this.#work.catch(() => {});
    await this.#sql.end({ timeout: 1 });
  }

  /**
   * Of three alerts one is closed as soon as it is open, one lives to see the next, and one is updated and closed
   * later; every fourth of those stays open.
   */
  async #write(): Promise<void> {
    for (let alertId = 1; !this.#isEnding; alertId++) {
      await this.#open(alertId);
      if (alertId % 3 === 0) await this.#close(alertId);
      if ((alertId - 1) % 3 === 2) await this.#close(alertId - 1);
      const updated = alertId - UPDATE_AFTER;
      if (updated > 0 && updated % 3 === 1) await this.#update(updated);
      const closed = alertId - CLOSE_AFTER;
      if (closed > 0 && closed % 3 === 1 && closed % 12 !== 1) await this.#close(closed);
      await pause(this.#options.everyMs);
    }
  }

  async #open(alertId: number): Promise<void> {
    const openedAt = Date.now();
    await this.#run(
      `INSERT INTO fleet_alert
         (id, tenant_id, site_id, device_id, alert_type, status, severity, confidence, summary)
       VALUES ($1::text::bigint, $2, 'plant-a', $3, 'over_temperature', 'OPEN', 2, 0.9, $4)
       ON CONFLICT (id) DO NOTHING`,
      [String(alertId), TENANT, this.#options.deviceId, `Alert ${alertId}`],
    );
    this.written.push({ alertId, openedAt, closedAt: null });
  }

  async #update(alertId: number): Promise<void> {
    await this.#run(
      "UPDATE fleet_alert SET severity = 4, summary = $2 WHERE id = $1::text::bigint",
      [String(alertId), `Alert ${alertId}, worse`],
    );
  }

  async #close(alertId: number): Promise<void> {
    await this.#run(
      `UPDATE fleet_alert SET status = 'CLOSED', closed_at = now()
       WHERE id = $1::text::bigint AND closed_at IS NULL`,
      [String(alertId)],
    );
    const alert = this.written[alertId - 1];
    if (alert?.alertId !== alertId) throw new Error(`Cannot close ${alertId}: it was never opened`);
    alert.closedAt = Date.now();
  }

  async #run(text: string, parameters: string[]): Promise<void> {
    this.#writingSince = performance.now();
    this.failures += await untilAcknowledged(() => this.#sql.unsafe(text, parameters), {
      signal: this.#abandoned.signal,
    });
    this.#writingSince = null;
  }
}
