// Wires what stands behind the connections and is there once, however many threads hold sockets: feeds, questions, seats,
// tickets, rates and the issuer's keys. It knows no socket and no token.
import type { FetchedKeySet } from "./auth/fetched_key_set.ts";
import type { KeySet } from "./auth/key_set.ts";
import { type TicketDesk, Tickets } from "./auth/tickets.ts";
import type { Clock } from "./clock.ts";
import type { Config } from "./config.ts";
import type { HistoryOptions } from "./connections/connection_manager.ts";
import { HistoryReader } from "./feed/history_reader.ts";
import { FeedRegistry, type Feeds } from "./feed/feed_registry.ts";
import type { Histories } from "./feed/seam.ts";
import { tenantDevices } from "./feed/tenant_devices.ts";
import type { RestReads } from "./http/rest_reads.ts";
import type { LimitLedger } from "./limits/limits.ts";
import { type Refusals, RefusedSockets } from "./limits/refused_sockets.ts";
import { type Seating, Seats } from "./limits/seats.ts";
import { KeyedBuckets, type Rates } from "./limits/token_bucket.ts";
import type { Log } from "./observe/log.ts";
import type { PrometheusMetrics } from "./observe/prometheus_metrics.ts";
import type { Sources } from "./sources/open_sources.ts";
import { SideReads } from "./sources/side_reads.ts";
import { keySetFromConfig } from "./verifier_from_config.ts";

/** What connections and the door need of it; another thread may be the one who has it. */
export interface Back {
  readonly feeds: Feeds;
  readonly histories: Histories;
  readonly listDevices: HistoryOptions["listDevices"];
  readonly reads: RestReads;
  readonly seats: Seating;
  readonly refusals: Refusals;
  readonly tickets: TicketDesk;
  /** Handshakes and tickets by address. */
  readonly handshakes: Rates;
  /** HTTP reads by tenant. */
  readonly requests: Rates;
  /** The issuer's; null where there is no issuer to be asked. */
  readonly keySet: KeySet | null;
}

export interface BackDeps {
  readonly sources: Sources;
  readonly clock: Clock;
  readonly log: Log;
  readonly ledger: LimitLedger;
  readonly metrics: PrometheusMetrics;
  readonly random: () => number;
}

/** As this thread has it. */
export interface OwnBack extends Back, AsyncDisposable {
  readonly feeds: FeedRegistry;
  readonly seats: Seats;
  readonly keySet: FetchedKeySet | null;
  readonly sources: Sources;
  /** Falls when all of it ends. */
  readonly stopped: AbortSignal;
}

/** Greatest number of open alerts in one `alerts` message. */
const MAX_ALERTS = 100;
/** A feed outlives its last connection this long: a page that reloads finds its phase and its pauses as they were. */
const FEED_LINGER_MS = 1_000;
export const TICKET_SECONDS = 30;
/** A ticket holds a scope of some hundred bytes for half a minute. */
const MAX_TICKETS = 10_000;
/** Addresses whose handshakes are counted at once. */
const MAX_COUNTED_ADDRESSES = 10_000;
const HANDSHAKE_BURST_SECONDS = 10;
/** Tenants whose HTTP reads are counted at once. */
const MAX_COUNTED_TENANTS = 10_000;
const REQUEST_BURST_SECONDS = 2;

export function createBack(config: Config, deps: BackDeps): OwnBack {
  const { sources, clock, log, ledger, metrics, random } = deps;
  const { values } = ledger;
  const futureMs = config.FUTURE_SECONDS * 1_000;
  const stopped = new AbortController();
  const keySet = keySetFromConfig(config, { clock, log, signal: stopped.signal });
  const feeds = new FeedRegistry({
    telemetry: sources.telemetry,
    alerts: sources.alerts,
    pollIntervalMs: config.WS_POLL_SECONDS * 1_000,
    states: () => sources.state(),
    maxAlerts: MAX_ALERTS,
    maxOpenAlerts: values.open_alerts,
    maxFleetDevices: values.fleet_devices,
    cut: (source) => ledger.crossed(source === "alerts" ? "open_alerts" : "fleet_devices"),
    lateMs: config.LATE_SECONDS * 1_000,
    staleMs: config.STALE_SECONDS * 1_000,
    lingerMs: FEED_LINGER_MS,
    clock,
    log,
    metrics,
    random,
  });
  const reads = new SideReads({
    sources,
    maxReads: values.reads,
    lookbackMs: config.TELEMETRY_LOOKBACK,
    futureMs,
    clock,
    log,
    signal: stopped.signal,
  });
  sources.signals?.listen({
    notified: (tenantId) => feeds.alertsNotified(tenantId),
    missed: () => feeds.alertsMissed(),
  });
  return {
    feeds,
    reads,
    sources,
    keySet,
    stopped: stopped.signal,
    histories: new HistoryReader({
      reads,
      clock,
      log,
      futureMs,
      historySamples: values.history_samples,
      maxOpenAlerts: values.open_alerts,
    }),
    listDevices: (tenantId, signal) =>
      tenantDevices(reads, { tenantId, limit: values.fleet_devices, signal }),
    seats: new Seats(ledger),
    refusals: new RefusedSockets(values.refused_sockets),
    tickets: new Tickets({ lifetimeMs: TICKET_SECONDS * 1_000, maxTickets: MAX_TICKETS, clock }),
    handshakes: new KeyedBuckets({
      ratePerSecond: values.handshakes_per_second,
      burst: values.handshakes_per_second * HANDSHAKE_BURST_SECONDS,
      maxKeys: MAX_COUNTED_ADDRESSES,
      clock,
    }),
    requests: new KeyedBuckets({
      ratePerSecond: values.requests_per_second,
      burst: values.requests_per_second * REQUEST_BURST_SECONDS,
      maxKeys: MAX_COUNTED_TENANTS,
      clock,
    }),
    async [Symbol.asyncDispose]() {
      stopped.abort();
      feeds[Symbol.dispose]();
      await sources[Symbol.asyncDispose]();
    },
  };
}
