// The port to the alert table; an implementation reads under the tenant's own policy or not at all.
import type { Alert } from "../protocol/server_messages.ts";

export type { Alert } from "../protocol/server_messages.ts";

export interface OpenAlertsQuery {
  readonly tenantId: string;
  readonly limit: number;
  readonly signal: AbortSignal;
}

/** `OPEN` is what `readOpen` reads, `CLOSED` every other alert. */
export type AlertStatus = "OPEN" | "CLOSED" | "ALL";

export interface AlertsQuery extends OpenAlertsQuery {
  readonly status: AlertStatus;
}

/** Every read gives the newest first (`created_at`, then `alert_id`, descending). */
export interface AlertSource {
  /**
   * Reads the tenant's open alerts.
   * Throws SourceError; an aborted signal rejects with the signal's reason.
   */
  readOpen(query: OpenAlertsQuery): Promise<readonly Alert[]>;
  /** Reads the tenant's alerts of a status. Throws like `readOpen`. */
  readAlerts(query: AlertsQuery): Promise<readonly Alert[]>;
}
