// The SQL of every read of the telemetry table; values are parameters, only the table's quoted name stands in it.
import { quoteTable } from "./quote_identifier.ts";

type Ordered = Readonly<Record<"ascending" | "descending", string>>;

export interface TelemetryTableQueries {
  /** $1 tenant, $2 devices, $3 after, $4 until. */
  readonly latest: string;
  /** $1 tenant, $2 after, $3 until. */
  readonly latestOfAll: string;
  /** As `latest`, and $5 most rows of a device, $6 rows of a device that are left out first. */
  readonly range: Ordered;
  /** As `range`, and $7 seconds of a window, $8 names that are no metrics. */
  readonly windows: Ordered;
  /** $1 tenant, $2 after, $3 until, $4 most devices. */
  readonly devices: string;
}

const SHOWN = `'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`;
const CUT = "LIMIT $5::bigint OFFSET $6::bigint";

/** Throws TypeError on a table name that can't exist. */
export function telemetryTableQueries(name: string): TelemetryTableQueries {
  const table = quoteTable(name);
  return {
    latest: rangeQuery(table, { direction: "DESC", cut: "LIMIT 1" }),
    latestOfAll: latestOfAllQuery(table),
    range: {
      ascending: rangeQuery(table, { direction: "ASC", cut: CUT }),
      descending: rangeQuery(table, { direction: "DESC", cut: CUT }),
    },
    windows: { ascending: windowsQuery(table, "ASC"), descending: windowsQuery(table, "DESC") },
    devices: devicesQuery(table),
  };
}

/** LATERAL with LIMIT goes down the index once for each device and no further; DISTINCT ON would walk all their samples. */
function rangeQuery(
  table: string,
  { direction, cut }: { readonly direction: "ASC" | "DESC"; readonly cut: string },
): string {
  return `
    SELECT wanted.device_id, found.time, found.metrics
    FROM unnest($2::text[]) AS wanted (device_id)
    CROSS JOIN LATERAL (
      SELECT to_char(sample.time AT TIME ZONE 'UTC', ${SHOWN}) AS time, sample.metrics::text AS metrics
      FROM ${table} AS sample
      WHERE sample.tenant_id = $1 AND sample.device_id = wanted.device_id
        AND sample.time > $3::timestamptz AND sample.time <= $4::timestamptz
      ORDER BY sample.time ${direction}
      ${cut}
    ) AS found`;
}

/**
 * Without date_bin, which only PostgreSQL 14 brought. A metric that was a number in some samples of a window and
 * something else in others counts as the number. A sample that is no object gives the window its kind instead of metrics.
 */
function windowsQuery(table: string, direction: "ASC" | "DESC"): string {
  return `
    SELECT wanted.device_id, found.time, found.metrics, found.unreadable
    FROM unnest($2::text[]) AS wanted (device_id)
    CROSS JOIN LATERAL (
      SELECT to_char(to_timestamp(metric.start) AT TIME ZONE 'UTC', ${SHOWN}) AS time,
             coalesce(jsonb_object_agg(metric.name, metric.value) FILTER (WHERE metric.name IS NOT NULL), '{}')::text AS metrics,
             max(metric.unreadable) AS unreadable
      FROM (
        SELECT sample.start, entry.name, max(sample.unreadable) AS unreadable,
               coalesce(
                 to_jsonb(avg((entry.value #>> '{}')::numeric) FILTER (WHERE jsonb_typeof(entry.value) = 'number')),
                 (array_agg(entry.value ORDER BY sample.time DESC))[1]
               ) AS value
        FROM (
          SELECT time, (floor(extract(epoch FROM time) / $7::bigint) * $7::bigint)::float8 AS start,
                 CASE WHEN jsonb_typeof(metrics) = 'object' THEN metrics ELSE '{}' END AS metrics,
                 NULLIF(jsonb_typeof(metrics), 'object') AS unreadable
          FROM ${table}
          WHERE tenant_id = $1 AND device_id = wanted.device_id
            AND time > $3::timestamptz AND time <= $4::timestamptz
        ) AS sample
        LEFT JOIN LATERAL jsonb_each(sample.metrics) AS entry (name, value) 
          ON jsonb_typeof(entry.value) <> 'null' AND entry.name <> ALL ($8::text[]) AND NOT starts_with(entry.name, 'iox::')
        GROUP BY sample.start, entry.name
      ) AS metric
      GROUP BY metric.start
      HAVING count(metric.name) > 0 OR count(metric.unreadable) > 0
      ORDER BY metric.start ${direction}
      ${CUT}
    ) AS found`;
}

function latestOfAllQuery(table: string): string {
  return `
    ${everyDevice(table)}
    SELECT device.id AS device_id, to_char(newest.time AT TIME ZONE 'UTC', ${SHOWN}) AS time, newest.metrics::text AS metrics
    FROM device
    CROSS JOIN LATERAL (${newestOfDevice(table, "time, sample.metrics")}) AS newest`;
}

function devicesQuery(table: string): string {
  return `
    ${everyDevice(table)}
    SELECT device.id AS device_id, to_char(newest.time AT TIME ZONE 'UTC', ${SHOWN}) AS time
    FROM device
    CROSS JOIN LATERAL (${newestOfDevice(table, "time")}) AS newest
    ORDER BY newest.time DESC, device.id
    LIMIT $4::bigint`;
}

/** One step down the index from each device to the next, and one more to its newest sample; no walk over samples. */
function everyDevice(table: string): string {
  return `WITH RECURSIVE device (id) AS (
      (SELECT device_id FROM ${table} WHERE tenant_id = $1 ORDER BY device_id LIMIT 1)
      UNION ALL
      SELECT (
        SELECT sample.device_id FROM ${table} AS sample
        WHERE sample.tenant_id = $1 AND sample.device_id > device.id
        ORDER BY sample.device_id
        LIMIT 1
      )
      FROM device
      WHERE device.id IS NOT NULL
    )`;
}

/** Samples of a device without a name are nobody's. */
function newestOfDevice(table: string, columns: string): string {
  return `
      SELECT sample.${columns} FROM ${table} AS sample
      WHERE sample.tenant_id = $1 AND sample.device_id = device.id AND device.id <> ''
        AND sample.time > $2::timestamptz AND sample.time <= $3::timestamptz
      ORDER BY sample.time DESC
      LIMIT 1
    `;
}
