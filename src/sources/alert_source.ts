// The port to the alert table; an implementation reads under the tenant's own policy or not at all.
import type { Alert } from "../protocol/server_messages.ts";

export type { Alert } from "../protocol/server_messages.ts";

export interface OpenAlertsQuery {
  readonly tenantId: string;
  readonly limit: number;
  readonly signal: AbortSignal;
}

export interface AlertSource {
  /**
   * Reads the tenant's open alerts, newest first (`created_at`, then `alert_id`, descending).
   * Throws SourceError; an aborted signal rejects with the signal's reason.
   */
  readOpen(query: OpenAlertsQuery): Promise<readonly Alert[]>;
}
