// The port to the alert table; an implementation reads under the tenant's own policy or not at all.
import type { Alert } from "../protocol/server_messages.ts";

export type { Alert } from "../protocol/server_messages.ts";

export interface OpenAlertsQuery {
  readonly tenantId: string;
  readonly limit: number;
  readonly signal: AbortSignal;
  /** Whether a single client asks, beside the ticks. */
  readonly isAside?: boolean;
}

/** `OPEN` is what `readOpen` reads, `CLOSED` every other alert. */
export type AlertStatus = "OPEN" | "CLOSED" | "ALL";

export interface AlertsQuery extends OpenAlertsQuery {
  readonly status: AlertStatus;
}

export interface AlertStateQuery extends OpenAlertsQuery {
  /** Also the alerts that were created or closed later than this instant (nine digits); null for none. */
  readonly changedSince: string | null;
  /** Greatest number of those: the latest come. */
  readonly changedLimit: number;
  /** Whether all open alerts are counted, however many the limit lets through. */
  readonly isCounted: boolean;
}

/** An alert that was created or closed lately. */
export interface ChangedAlert {
  readonly alert: Alert;
  readonly isOpen: boolean;
  /** UTC with six fractional digits and `Z`; null while it is open, or where the backend noted no instant. */
  readonly closedAt: string | null;
}

export interface AlertTableState {
  /** As `readOpen` gives them. */
  readonly open: readonly Alert[];
  /** The latest changes, oldest first; at most `changedLimit`. */
  readonly changed: readonly ChangedAlert[];
  /** Whether there were more changes than that. */
  readonly isChangedTruncated: boolean;
  /** Open alerts in all and by severity (`"none"` for those without one); null unless they were asked for. */
  readonly counts: {
    readonly total: number;
    readonly bySeverity: Readonly<Record<string, number>>;
  } | null;
}

/** Every read gives the newest first (`created_at`, then `alert_id`, descending). */
export interface AlertSource {
  /**
   * Reads the tenant's open alerts.
   * Throws SourceError; an aborted signal rejects with the signal's reason.
   */
  readOpen(query: OpenAlertsQuery): Promise<readonly Alert[]>;
  /** Reads the open alerts, what changed lately and the counts, in one transaction. Throws like `readOpen`. */
  readState(query: AlertStateQuery): Promise<AlertTableState>;
  /** Reads the tenant's alerts of a status. Throws like `readOpen`. */
  readAlerts(query: AlertsQuery): Promise<readonly Alert[]>;
}
