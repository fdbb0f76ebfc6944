// Reads alerts from the table that the platform's backend writes; never without the tenant's transaction.
import { instantOfNanos, nanosOf } from "../../protocol/nano_instant.ts";
import type { Alert } from "../../protocol/server_messages.ts";
import type { AlertSource, AlertsQuery, AlertTableState, ChangedAlert } from "../alert_source.ts";
import { SourceError } from "../source_error.ts";
import { alertTableQueries } from "./alert_table_queries.ts";
import type { PostgresPool } from "./postgres_pool.ts";
import type { Row } from "./statement.ts";

export interface AlertTableOptions {
  /** `table` or `schema.table`. */
  readonly table: string;
}

/** Throws TypeError on a table name that can't exist. */
export function createAlertSource(pool: PostgresPool, options: AlertTableOptions): AlertSource {
  const queries = alertTableQueries(options.table);
  const readAlerts = async ({ tenantId, status, limit, signal }: AlertsQuery) => {
    const [rows] = await pool.readAsTenant(
      tenantId,
      [{ text: queries.alerts[status], parameters: [tenantId, limit] }],
      { signal },
    );
    return rows.map(toAlert);
  };
  return {
    readOpen: (query) => readAlerts({ ...query, status: "OPEN" }),
    async readState({ tenantId, limit, changedSince, changedLimit, isCounted, signal }) {
      const parameters = [
        tenantId,
        limit,
        changedSince === null ? null : toLowerBound(changedSince),
        // One more than is wanted tells whether there are more.
        changedLimit + 1,
        String(isCounted),
      ];
      const [rows] = await pool.readAsTenant(
        tenantId,
        [{ text: queries.state, parameters }],
        { signal },
      );
      const changed = rows.filter(({ part }) => part === "changed").map(toChanged);
      return {
        open: rows.filter(({ part }) => part === "open").map(toAlert),
        changed: changed.slice(-changedLimit),
        isChangedTruncated: changed.length > changedLimit,
        counts: isCounted ? toCounts(rows.filter(({ part }) => part === "count")) : null,
      };
    },
    readAlerts,
  };
}

/** The column holds microseconds: an alert of the one that the instant lies within is read rather than lost. */
function toLowerBound(instant: string): string {
  const micros = nanosOf(`${instant.slice(0, 26)}000Z`);
  const isBetween = instant.slice(26, 29) !== "000";
  return `${instantOfNanos(isBetween ? micros - 1_000n : micros).slice(0, 26)}Z`;
}

function toChanged(row: Row): ChangedAlert {
  return {
    alert: toAlert(row),
    isOpen: row.is_open === "t",
    closedAt: row.closed_at ?? null,
  };
}

function toCounts(rows: readonly Row[]): AlertTableState["counts"] {
  const bySeverity = rows.map((row) => [row.severity ?? "none", Number(row.place)] as const);
  return {
    total: bySeverity.reduce((total, [, count]) => total + count, 0),
    bySeverity: Object.fromEntries(bySeverity),
  };
}

function toAlert(row: Row): Alert {
  return {
    alert_id: toAlertId(row.alert_id),
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

/** A rounded one would name another alert, and two that are rounded alike would pass for one. */
function toAlertId(text: string | null | undefined): number {
  const id = Number(text);
  if (/^-?\d+$/.test(text ?? "") && Number.isSafeInteger(id)) return id;
  throw new SourceError(
    "rejected",
    "PostgreSQL's table has an alert whose id is no whole number up to 2^53 − 1, as alert_id must be",
  );
}

/** NaN and infinities, which a real can hold and JSON can't, are null. */
function toNumber(text: string | null | undefined): number | null {
  const value = text === null || text === undefined ? NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}
