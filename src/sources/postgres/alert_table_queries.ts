// The SQL of every read of the alert table; values are parameters, only the table's quoted name stands in it.
import type { AlertStatus } from "../alert_source.ts";
import { quoteTable } from "./quote_identifier.ts";

export interface AlertTableQueries {
  /** $1 tenant, $2 most alerts. */
  readonly alerts: Readonly<Record<AlertStatus, string>>;
  /**
   * $1 tenant, $2 most open alerts, $3 since, or null for no changes, $4 most changes, $5 whether to count. What a row
   * says stands in `part`: an `open` alert, a `changed` one, or a `count`: as its `place`, of its severity.
   */
  readonly state: string;
}

/** Throws TypeError on a table name that can't exist. */
export function alertTableQueries(name: string): AlertTableQueries {
  const table = quoteTable(name);
  return {
    alerts: {
      OPEN: alertsQuery(table, `AND ${IS_OPEN}`),
      CLOSED: alertsQuery(table, `AND (${IS_OPEN}) IS NOT TRUE`),
      ALL: alertsQuery(table, ""),
    },
    state: stateQuery(table),
  };
}

/** A backend that sets one and forgets the other must not keep an alert alive. */
const IS_OPEN = "status = 'OPEN' AND closed_at IS NULL";

/** The policy alone would do for the tenant; naming it too lets the planner use the index. */
const OF_TENANT = "tenant_id = $1 AND isfinite(created_at)";

const STORED =
  "id, tenant_id, device_id, site_id, alert_type, severity, confidence, summary, status, created_at, closed_at";

const SHOWN =
  `id::text AS alert_id, tenant_id, device_id, site_id, alert_type, severity::text, confidence::text,
           summary, status, ${shownInstant("created_at")} AS created_at`;

/** Nobody closes an alert at no end of time: an instant that is infinite is none. */
const CLOSED_AT = "CASE WHEN isfinite(closed_at) THEN closed_at END";

function shownInstant(instant: string): string {
  return `to_char(${instant} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
}

function alertsQuery(table: string, condition: string): string {
  return `
    SELECT ${SHOWN}
    FROM ${table} AS alert
    WHERE ${OF_TENANT} ${condition}
    ORDER BY alert.created_at DESC, alert.id DESC
    LIMIT $2::bigint`;
}

/**
 * One statement and not three, so that all of it is of one snapshot: an alert can't be open in one part and unknown to the
 * other. What was created and what was closed lately are looked for by an index each; the latest by either of the two
 * instants is among the latest by one of them.
 */
function stateQuery(table: string): string {
  return `
    WITH open AS (
      SELECT ${STORED} FROM ${table}
      WHERE ${OF_TENANT} AND ${IS_OPEN}
      ORDER BY created_at DESC, id DESC
      LIMIT $2::bigint
    ), touched AS (
      (${touchedQuery(table, "created_at")})
      UNION
      (${touchedQuery(table, "closed_at")})
    ), changed AS (
      SELECT *, greatest(created_at, ${CLOSED_AT}) AS changed_at FROM touched
      ORDER BY changed_at DESC, id DESC
      LIMIT $4::bigint
    )
    SELECT 'open' AS part, row_number() OVER (ORDER BY created_at DESC, id DESC) AS place, ${SHOWN},
           NULL AS closed_at, true AS is_open
    FROM open
    UNION ALL
    SELECT 'changed', row_number() OVER (ORDER BY changed_at, id), ${SHOWN},
           ${shownInstant(`(${CLOSED_AT})`)}, ${IS_OPEN}
    FROM changed
    UNION ALL
    SELECT 'count', count(*), NULL, NULL, NULL, NULL, NULL, severity::text, NULL, NULL, NULL, NULL, NULL, NULL
    FROM ${table}
    WHERE ${OF_TENANT} AND ${IS_OPEN} AND $5::boolean
    GROUP BY severity
    ORDER BY part, place`;
}

function touchedQuery(table: string, instant: "created_at" | "closed_at"): string {
  return `
        SELECT ${STORED} FROM ${table}
        WHERE ${OF_TENANT} AND ${instant} > $3::timestamptz AND isfinite(${instant})
        ORDER BY ${instant} DESC, id DESC
        LIMIT $4::bigint`;
}
