// Wires the rooms together: sources, feeds, connections, the door and the routes. It decides nothing itself.
import type { CredentialPlace } from "./auth/credential.ts";
import { Tickets } from "./auth/tickets.ts";
import type { Clock } from "./clock.ts";
import { type Config, limitsOf } from "./config.ts";
import { ConnectionManager } from "./connections/connection_manager.ts";
import { farewell } from "./connections/farewell.ts";
import { Session } from "./connections/session.ts";
import type { PageOptions } from "./dashboard/page_file.ts";
import { HistoryReader } from "./feed/history_reader.ts";
import { FeedRegistry } from "./feed/feed_registry.ts";
import { tenantDevices } from "./feed/tenant_devices.ts";
import { TrustedProxies } from "./http/client_address.ts";
import { Door } from "./http/door.ts";
import { Readiness } from "./http/readiness.ts";
import { type FetchHandler, routes } from "./http/routes.ts";
import { LimitLedger, type LimitName } from "./limits/limits.ts";
import { Seats } from "./limits/seats.ts";
import { KeyedBuckets } from "./limits/token_bucket.ts";
import type { Log } from "./observe/log.ts";
import { PrometheusMetrics } from "./observe/prometheus_metrics.ts";
import { type Sources } from "./sources/open_sources.ts";
import { SideReads } from "./sources/side_reads.ts";
import type { Admission, Handshake } from "./sockets/socket.ts";
import { verifierFromConfig } from "./verifier_from_config.ts";
import { SERVER, VERSION } from "./version.ts";

export interface AppDeps {
  readonly sources: Sources;
  readonly clock: Clock;
  readonly log: Log;
  /** Shared with whoever else counts crossings. */
  readonly ledger?: LimitLedger;
  /** Shared with whoever else counts what is done. */
  readonly metrics?: PrometheusMetrics;
  readonly random?: () => number;
}

export interface App extends AsyncDisposable {
  /** Answers every request that is no upgrade of the socket path. */
  readonly fetch: FetchHandler;
  readonly admit: (handshake: Handshake) => Promise<Admission>;
  readonly manager: ConnectionManager;
  readonly feeds: FeedRegistry;
  readonly ledger: LimitLedger;
  readonly metrics: PrometheusMetrics;
  readonly seats: Seats;
  readonly readiness: Readiness;
  /** Lets nobody in any more, closes every socket and resolves when all are gone or after `withinMs`. */
  drain(withinMs: number): Promise<void>;
}

/** Greatest number of open alerts in one `alerts` message. */
const MAX_ALERTS = 100;
/** A feed outlives its last connection this long: a page that reloads finds its phase and its pauses as they were. */
const FEED_LINGER_MS = 1_000;
const TICKET_SECONDS = 30;
/** A ticket holds a scope of some hundred bytes for half a minute. */
const MAX_TICKETS = 10_000;
/** Addresses whose handshakes are counted at once. */
const MAX_COUNTED_ADDRESSES = 10_000;
const HANDSHAKE_BURST_SECONDS = 10;
/** An answer in which nothing moves for 65 s is ended as one that nobody takes. */
const MAX_KEEP_AWAKE_MS = 30_000;
/** Tenants whose HTTP reads are counted at once. */
const MAX_COUNTED_TENANTS = 10_000;
const REQUEST_BURST_SECONDS = 2;

export function createApp(config: Config, deps: AppDeps): App {
  const {
    sources,
    clock,
    log,
    ledger = new LimitLedger(limitsOf(config)),
    metrics = createMetrics(config),
    random = Math.random,
  } = deps;
  const pollIntervalMs = config.WS_POLL_SECONDS * 1_000;
  const futureMs = config.FUTURE_SECONDS * 1_000;
  const lateMs = config.LATE_SECONDS * 1_000;
  const stopped = new AbortController();
  const seats = new Seats(ledger);
  const feeds = new FeedRegistry({
    telemetry: sources.telemetry,
    alerts: sources.alerts,
    pollIntervalMs,
    states: () => sources.state(),
    maxAlerts: MAX_ALERTS,
    maxOpenAlerts: ledger.values.open_alerts,
    maxFleetDevices: ledger.values.fleet_devices,
    lateMs,
    staleMs: config.STALE_SECONDS * 1_000,
    lingerMs: FEED_LINGER_MS,
    clock,
    log,
    metrics,
    random,
  });
  const reads = new SideReads({
    sources,
    maxReads: ledger.values.reads,
    lookbackMs: config.TELEMETRY_LOOKBACK,
    futureMs,
    clock,
    log,
    signal: stopped.signal,
  });
  const manager = new ConnectionManager({
    feeds,
    clock,
    log,
    pollIntervalMs,
    highWaterBytes: ledger.values.socket_buffer_bytes,
    slowClientMs: config.SLOW_CLIENT_SECONDS * 1_000,
    history: {
      histories: new HistoryReader({
        reads,
        clock,
        log,
        futureMs,
        historySamples: ledger.values.history_samples,
        maxOpenAlerts: ledger.values.open_alerts,
      }),
      listDevices: (tenantId, signal) =>
        tenantDevices(reads, { tenantId, limit: ledger.values.fleet_devices, signal }),
      historyMs: ledger.values.history_seconds * 1_000,
      lateMs,
      futureMs,
      random,
    },
    metrics,
    missed: () => {
      ledger.crossed("socket_buffer_bytes");
      metrics.missedTick();
    },
  });
  const verifier = verifierFromConfig(config, { clock, log, signal: stopped.signal });
  const tickets = new Tickets({
    lifetimeMs: TICKET_SECONDS * 1_000,
    maxTickets: MAX_TICKETS,
    clock,
  });
  const ratePerSecond = ledger.values.handshakes_per_second;
  const shared = {
    verifier,
    tickets,
    allowedOrigins: config.ALLOWED_ORIGINS.length === 0 ? null : new Set(config.ALLOWED_ORIGINS),
    proxies: new TrustedProxies(config.TRUSTED_PROXIES),
    ledger,
    handshakes: new KeyedBuckets({
      ratePerSecond,
      burst: ratePerSecond * HANDSHAKE_BURST_SECONDS,
      maxKeys: MAX_COUNTED_ADDRESSES,
      clock,
    }),
  };
  const requests = new KeyedBuckets({
    ratePerSecond: ledger.values.requests_per_second,
    burst: ledger.values.requests_per_second * REQUEST_BURST_SECONDS,
    maxKeys: MAX_COUNTED_TENANTS,
    clock,
  });
  const sessionOptions = {
    manager,
    verifier,
    ledger,
    server: SERVER,
    pollSeconds: config.WS_POLL_SECONDS,
    clock,
    log,
  };
  const door = new Door({
    ...shared,
    accept: placesOf(config),
    seats,
    log,
    metrics,
    enter: (socket, scope) => new Session(manager.connect(socket, scope), sessionOptions),
  });
  const readiness = new Readiness({
    states: () => sources.state(),
    check: (signal) => sources.check(signal),
    keys: { isReached: () => verifier.state.reached, reach: () => verifier.reach() },
    isDraining: () => door.isShut,
    clock,
    log,
    signal: stopped.signal,
  });

  metrics.watch({
    tenants: () => manager.usages(),
    feeds: () => feeds.usage,
    sources: () => sources.state(),
    crossings: () =>
      Object.keys(ledger.values).map((name) => [name, ledger.crossings(name as LimitName)]),
  });
  sources.signals?.listen({
    notified: (tenantId) => feeds.alertsNotified(tenantId),
    missed: () => feeds.alertsMissed(),
  });

  return {
    fetch: routes({
      ...shared,
      readiness,
      door,
      places: placesOf(config),
      keepAwakeMs: Math.min(config.PING_SECONDS * 1_000, MAX_KEEP_AWAKE_MS),
      ticketSeconds: TICKET_SECONDS,
      isDraining: () => door.isShut,
      page: pageOf(config),
      seats,
      stream: {
        usageOf: (tenantId) => manager.usageOf(tenantId),
        mostDevicesOf: (tenantId) => manager.mostDevicesOf(tenantId),
        feedOf(tenantId) {
          const standing = feeds.statusesOf(tenantId);
          return standing &&
            { devices: feeds.interestOf(tenantId)?.deviceCount ?? 0, sources: standing };
        },
        sources: () => sources.state(),
      },
      metricsText: config.METRICS_PORT === undefined ? metrics : null,
      log,
      reads,
      requests,
      futureMs,
      server: SERVER,
      clock,
    }),
    admit: (handshake) => door.admit(handshake),
    manager,
    feeds,
    ledger,
    metrics,
    seats,
    readiness,
    async drain(withinMs) {
      door.shut();
      await farewell(manager, { clock, random, withinMs });
    },
    async [Symbol.asyncDispose]() {
      stopped.abort();
      feeds[Symbol.dispose]();
      await sources[Symbol.asyncDispose]();
    },
  };
}

/** The numbers of one process, which whoever opens its sources tells of its reads. */
export function createMetrics(config: Config): PrometheusMetrics {
  return new PrometheusMetrics({
    version: VERSION,
    hasTenantLabel: config.METRICS_TENANT_LABEL,
  });
}

function placesOf(config: Config): ReadonlySet<CredentialPlace> {
  const places: CredentialPlace[] = ["header", "subprotocol", "ticket"];
  return new Set(config.ALLOW_QUERY_TOKEN ? ["query", ...places] : places);
}

function pageOf(config: Config): PageOptions {
  const { OIDC_ISSUER: issuer, OIDC_CLIENT_ID: clientId, OIDC_SCOPE: scope } = config;
  return {
    oidc: issuer === undefined || clientId === undefined ? null : { issuer, clientId, scope },
    staleSeconds: config.STALE_SECONDS,
  };
}
