// Reads alerts from the table that the platform's backend writes; never without the tenant's transaction.
import type { Alert } from "../../protocol/server_messages.ts";
import type { AlertSource, AlertsQuery } from "../alert_source.ts";
import type { PostgresPool } from "./postgres_pool.ts";
import { quoteTable } from "./quote_identifier.ts";
import type { Row } from "./statement.ts";

export interface AlertTableOptions {
  /** `table` or `schema.table`. */
  readonly table: string;
}

/** Throws TypeError on a table name that can't exist. */
export function createAlertSource(pool: PostgresPool, options: AlertTableOptions): AlertSource {
  const queries = {
    OPEN: alertsQuery(options.table, `AND ${IS_OPEN}`),
    CLOSED: alertsQuery(options.table, `AND NOT (${IS_OPEN})`),
    ALL: alertsQuery(options.table, ""),
  };
  const readAlerts = async ({ tenantId, status, limit, signal }: AlertsQuery) => {
    const [rows] = await pool.readAsTenant(
      tenantId,
      [{ text: queries[status], parameters: [tenantId, limit] }],
      { signal },
    );
    return rows.map(toAlert);
  };
  return { readOpen: (query) => readAlerts({ ...query, status: "OPEN" }), readAlerts };
}

/** A backend that sets one and forgets the other must not keep an alert alive. */
const IS_OPEN = "status = 'OPEN' AND closed_at IS NULL";

/** The policy alone would do for the tenant; naming it too lets the planner use the index. */
function alertsQuery(table: string, condition: string): string {
  return `
    SELECT id::text AS alert_id, tenant_id, device_id, site_id, alert_type, severity::text, confidence::text,
           summary, status, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at
    FROM ${quoteTable(table)} AS alert
    WHERE tenant_id = $1 ${condition} AND isfinite(created_at)
    ORDER BY alert.created_at DESC, alert.id DESC
    LIMIT $2::bigint`;
}

function toAlert(row: Row): Alert {
  return {
    alert_id: Number(row.alert_id),
    tenant_id: row.tenant_id ?? "",
    device_id: row.device_id ?? null,
    site_id: row.site_id ?? null,
    alert_type: row.alert_type ?? null,
    severity: toNumber(row.severity),
    // PostgreSQL's shortest text for a real, so that 0.9 stays 0.9 and does not become 0.8999999761581421.
    confidence: toNumber(row.confidence),
    summary: row.summary ?? null,
    status: row.status ?? "",
    created_at: row.created_at ?? "",
  };
}

/** NaN and infinities, which a real can hold and JSON can't, are null. */
function toNumber(text: string | null | undefined): number | null {
  const value = text === null || text === undefined ? NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}
