// Wires the rooms of a service that is one thread: what faces clients, and what stands behind it. It decides nothing
// itself.
import { createBack, type OwnBack } from "./back.ts";
import type { Clock } from "./clock.ts";
import { type Config, limitsOf } from "./config.ts";
import type { ConnectionManager } from "./connections/connection_manager.ts";
import type { FeedRegistry } from "./feed/feed_registry.ts";
import { createFront, type Front } from "./front.ts";
import { Readiness } from "./http/readiness.ts";
import type { FeedState } from "./http/stream_status.ts";
import { LimitLedger, type LimitName } from "./limits/limits.ts";
import type { Seats } from "./limits/seats.ts";
import type { Log } from "./observe/log.ts";
import { PrometheusMetrics } from "./observe/prometheus_metrics.ts";
import type { Sources } from "./sources/open_sources.ts";
import { VERSION } from "./version.ts";

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

export interface App extends Pick<Front, "fetch" | "admit" | "drain">, AsyncDisposable {
  readonly manager: ConnectionManager;
  readonly feeds: FeedRegistry;
  readonly ledger: LimitLedger;
  readonly metrics: PrometheusMetrics;
  readonly seats: Seats;
  readonly readiness: Readiness;
}

export function createApp(config: Config, deps: AppDeps): App {
  const {
    sources,
    clock,
    log,
    ledger = new LimitLedger(limitsOf(config)),
    metrics = createMetrics(config),
    random = Math.random,
  } = deps;
  const shared = { clock, log, ledger, metrics, random };
  const back = createBack(config, { ...shared, sources });
  const { feeds, seats, stopped: signal } = back;
  const { fetch, admit, manager, drain, standing: { readiness } } = createFront(config, {
    ...shared,
    back,
    standing: ({ manager, door, verifier }) => ({
      readiness: new Readiness({
        states: () => sources.state(),
        check: (signal) => sources.check(signal),
        keys: { isReached: () => verifier.state.reached, reach: () => verifier.reach() },
        isDraining: () => door.isShut,
        clock,
        log,
        signal,
      }),
      stream: {
        usageOf: (tenantId: string) => manager.usageOf(tenantId),
        mostDevicesOf: (tenantId: string) => manager.mostDevicesOf(tenantId),
        feedOf: (tenantId: string) => feedStateOf(back, tenantId),
        sources: () => sources.state(),
      },
      metricsText: metrics,
      isAlive: () => true,
    }),
  });
  metrics.watch({
    tenants: () => manager.usages(),
    feeds: () => feeds.usage,
    sources: () => sources.state(),
    hearing: () => sources.signals?.isHearing ?? null,
    crossings: () => crossingsOf(ledger),
  });
  return {
    fetch,
    admit,
    drain,
    manager,
    feeds,
    ledger,
    metrics,
    seats,
    readiness,
    [Symbol.asyncDispose]: () => back[Symbol.asyncDispose](),
  };
}

/** The numbers of one thread, which whoever opens its sources tells of its reads. */
export function createMetrics(config: Config): PrometheusMetrics {
  return new PrometheusMetrics({
    version: VERSION,
    hasTenantLabel: config.METRICS_TENANT_LABEL,
  });
}

/** How the tenant's feed stands; undefined while none runs. */
export function feedStateOf({ feeds }: OwnBack, tenantId: string): FeedState | undefined {
  const standing = feeds.statusesOf(tenantId);
  return standing && { devices: feeds.interestOf(tenantId)?.deviceCount ?? 0, sources: standing };
}

/** How often each limit was crossed. */
export function crossingsOf(ledger: LimitLedger): Iterable<readonly [string, number]> {
  return Object.keys(ledger.values).map((name) => [name, ledger.crossings(name as LimitName)]);
}
