// Opens the databases that the settings name, each behind its guard; nothing connects before it is first read, checked
// or listened to.
import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { Log } from "../observe/log.ts";
import { type Metrics, NO_METRICS } from "../observe/metrics.ts";
import type { SourceName } from "../protocol/server_messages.ts";
import type { AlertSignals } from "./alert_signals.ts";
import type { AlertSource } from "./alert_source.ts";
import { createFluxSource } from "./influx/flux_source.ts";
import type { InfluxAuth, InfluxOptions } from "./influx/influx_options.ts";
import { createInfluxqlSource } from "./influx/influxql_source.ts";
import { AlertNotifications } from "./postgres/alert_notifications.ts";
import { createAlertSource } from "./postgres/alert_table_source.ts";
import { PostgresPool } from "./postgres/postgres_pool.ts";
import { createTelemetryTableSource } from "./postgres/telemetry_table_source.ts";
import { type Checkable, checkSource, type SourceCheck } from "./source_check.ts";
import { SourceGuard, type SourceState } from "./source_guard.ts";
import type { TelemetrySource } from "./telemetry_source.ts";

export interface Sources extends AsyncDisposable {
  readonly telemetry: TelemetrySource;
  readonly alerts: AlertSource;
  /** Null where no channel is set; closed along with the rest. */
  readonly signals: AlertSignals | null;
  readonly state: () => { readonly telemetry: SourceState; readonly alerts: SourceState };
  /** Reaches each database once and says whether it can serve; never throws. */
  check(
    signal: AbortSignal,
  ): Promise<{ readonly telemetry: SourceCheck; readonly alerts: SourceCheck }>;
}

export interface SourceDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Told of each read that must wait because MAX_READS are under way. */
  readonly crowded?: () => void;
  readonly metrics?: Pick<Metrics, "read" | "readDevices" | "listensAgain">;
}

const CONNECT_TIMEOUT_MS = 5_000;
const RETRY_MAX_MS = 30_000;

/** Throws TypeError where a setting can't be meant. */
export function openSources(config: Config, deps: SourceDeps): Sources {
  const { clock, log, metrics = NO_METRICS } = deps;
  const guard = (name: SourceName) =>
    new SourceGuard({
      name,
      maxReads: config.MAX_READS,
      timeoutMs: config.READ_TIMEOUT_SECONDS * 1_000,
      retryBaseMs: Math.min(config.WS_POLL_SECONDS * 1_000, RETRY_MAX_MS),
      retryMaxMs: RETRY_MAX_MS,
      clock,
      log,
      crowded: () => deps.crowded?.(),
      ended: (outcome) => metrics.read(name, outcome),
    });
  const telemetry = { guard: guard("telemetry"), ...openTelemetry(config, deps) };
  const alerts = { guard: guard("alerts"), ...openAlerts(config, deps) };
  const signals = openSignals(config, deps);
  return {
    telemetry: {
      async readLatest(query) {
        const latest = await guarded(telemetry, query, (source, bound) => source.readLatest(bound));
        const { deviceIds } = query;
        metrics.readDevices(deviceIds === "all" ? latest.samples.size : deviceIds.length);
        return latest;
      },
      readRange: (query) => guarded(telemetry, query, (source, bound) => source.readRange(bound)),
      listDevices: (query) =>
        guarded(telemetry, query, (source, bound) => source.listDevices(bound)),
    },
    alerts: {
      readOpen: (query) => guarded(alerts, query, (source, bound) => source.readOpen(bound)),
      readState: (query) => guarded(alerts, query, (source, bound) => source.readState(bound)),
      readAlerts: (query) => guarded(alerts, query, (source, bound) => source.readAlerts(bound)),
    },
    signals,
    state: () => ({ telemetry: telemetry.guard.state, alerts: alerts.guard.state }),
    async check(signal) {
      const [telemetryCheck, alertCheck] = await Promise.all([
        checkSource(telemetry.database, { guard: telemetry.guard, signal }),
        checkSource(alerts.database, { guard: alerts.guard, signal }),
      ]);
      return { telemetry: telemetryCheck, alerts: alertCheck };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([
        telemetry.close(),
        alerts.close(),
        signals?.[Symbol.asyncDispose](),
      ]);
    },
  };
}

/** Runs a read of a source behind its guard, whose signal takes the place of the query's own. */
function guarded<
  Source,
  Query extends { readonly signal: AbortSignal; readonly isAside?: boolean },
  Result,
>(
  { guard, source }: { readonly guard: SourceGuard; readonly source: Source },
  query: Query,
  read: (source: Source, query: Query) => Promise<Result>,
): Promise<Result> {
  const { isAside = false } = query;
  return guard.run(query.signal, (signal) => read(source, { ...query, signal }), { isAside });
}

interface Opened<Source> {
  readonly source: Source;
  readonly database: Checkable;
  close(): Promise<void>;
}

function openAlerts(config: Config, deps: SourceDeps): Opened<AlertSource> {
  const pool = openPool(config, { ...deps, table: config.ALERT_TABLE });
  return {
    source: createAlertSource(pool, { table: config.ALERT_TABLE }),
    database: pool,
    close: () => pool[Symbol.asyncDispose](),
  };
}

function openSignals(config: Config, { clock, log, metrics }: SourceDeps): AlertSignals | null {
  if (config.ALERT_NOTIFY_CHANNEL === "") return null;
  return new AlertNotifications({
    url: config.DATABASE_LISTEN_URL ?? config.DATABASE_URL,
    channel: config.ALERT_NOTIFY_CHANNEL,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    ...(config.DATABASE_CA === undefined ? {} : { caCertificate: config.DATABASE_CA }),
    log,
    clock,
    restored: () => metrics?.listensAgain(),
  });
}

/**
 * A pool for each table: one that is slow, or must not be read, takes no connection from the other. With no table it
 * shows only whether the login and the role are right.
 */
export function openPool(
  config: Config,
  { table, clock, log }: SourceDeps & { readonly table: string | null },
): PostgresPool {
  const readTimeoutMs = config.READ_TIMEOUT_SECONDS * 1_000;
  return new PostgresPool({
    url: config.DATABASE_URL,
    prepare: config.DATABASE_PREPARE,
    maxConnections: config.MAX_READS,
    role: config.DATABASE_ROLE,
    tenantSetting: config.TENANT_SETTING,
    tables: table === null ? [] : [table],
    statementTimeoutMs: readTimeoutMs,
    // A read that gave up must not leave an attempt behind that the next ones wait for.
    connectTimeoutMs: Math.min(CONNECT_TIMEOUT_MS, readTimeoutMs),
    ...(config.DATABASE_CA === undefined ? {} : { caCertificate: config.DATABASE_CA }),
    log,
    clock,
  });
}

function openTelemetry(config: Config, deps: SourceDeps): Opened<TelemetrySource> {
  const bounds = {
    lookbackMs: config.TELEMETRY_LOOKBACK,
    futureMs: config.FUTURE_SECONDS * 1_000,
    metadataKeys: config.TELEMETRY_METADATA_KEYS,
    clock: deps.clock,
  };
  if (config.TELEMETRY_SOURCE === "postgres") {
    const pool = openPool(config, { ...deps, table: config.TELEMETRY_TABLE });
    return {
      source: createTelemetryTableSource(pool, { table: config.TELEMETRY_TABLE, ...bounds }),
      database: pool,
      close: () => pool[Symbol.asyncDispose](),
    };
  }
  if (config.INFLUXDB_URL === undefined) throw new TypeError("INFLUXDB_URL is missing");
  const influxdbCa = config.INFLUXDB_CA;
  const options: InfluxOptions = {
    url: config.INFLUXDB_URL,
    org: config.INFLUXDB_ORG,
    auth: influxAuthOf(config),
    ...(influxdbCa === undefined ? {} : { caCertificate: influxdbCa }),
    bucketTemplate: config.INFLUXDB_BUCKET,
    measurement: config.INFLUXDB_MEASUREMENT,
    deviceTag: config.INFLUXDB_DEVICE_TAG,
    ...bounds,
  };
  const source = config.INFLUXDB_QUERY === "flux"
    ? createFluxSource(options)
    : createInfluxqlSource(options);
  return {
    source,
    database: source,
    close: () => Promise.resolve(source[Symbol.dispose]()),
  };
}

function influxAuthOf(config: Config): InfluxAuth {
  if (config.INFLUXDB_TOKEN !== undefined) return { kind: "token", token: config.INFLUXDB_TOKEN };
  if (config.INFLUXDB_USERNAME !== undefined && config.INFLUXDB_PASSWORD !== undefined) {
    return {
      kind: "password",
      username: config.INFLUXDB_USERNAME,
      password: config.INFLUXDB_PASSWORD,
    };
  }
  return { kind: "none" };
}
