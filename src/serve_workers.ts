// Serves with several threads: this one has the databases, the feeds and what is counted; each of the others has sockets,
// and all of them listen on one port. It knows signals' meaning, not signals.
import { crossingsOf, feedStateOf } from "./app.ts";
import { createBack } from "./back.ts";
import { type Clock, waitFor } from "./clock.ts";
import { type Config, ConfigError } from "./config.ts";
import { roomFor } from "./descriptors.ts";
import type { LimitLedger } from "./limits/limits.ts";
import { listenForMetrics } from "./listen.ts";
import type { Log, LogFormat } from "./observe/log.ts";
import { watchLoopLag } from "./observe/loop_lag.ts";
import type { PrometheusMetrics } from "./observe/prometheus_metrics.ts";
import { sayListening, type Serving, STOP_MS } from "./serve.ts";
import { ListenError } from "./sockets/listen_error.ts";
import type { Engine } from "./sockets/socket.ts";
import type { Sources } from "./sources/open_sources.ts";
import { Keeper } from "./workers/keeper.ts";

export interface ServeWorkersOptions {
  readonly sources: Sources;
  readonly clock: Clock;
  readonly log: Log;
  readonly logFormat: LogFormat;
  readonly ledger: LimitLedger;
  readonly metrics: PrometheusMetrics;
  readonly random?: () => number;
  /** The workers' module, where it is not the service's own. */
  readonly entry?: URL;
  /** After so long without an answer a worker is stuck, where not after the usual time. */
  readonly stuckMs?: number;
}

/** What a worker begins with. */
export interface WorkerStart {
  readonly number: number;
  readonly config: Config;
  readonly logFormat: LogFormat;
  readonly port: number;
  /** TCP connections that its listener accepts. */
  readonly maxSockets: number;
}

export interface ServingWorkers extends Serving {
  readonly keeper: Keeper<WorkerStart>;
}

const ENTRY = new URL("./worker.ts", import.meta.url);

/** Rejects with a ListenError, with a ConfigError where threads can't share a port, or with what a worker ran into. */
export async function serveWorkers(
  config: Config,
  { logFormat, entry = ENTRY, random = Math.random, stuckMs, ...deps }: ServeWorkersOptions,
): Promise<ServingWorkers> {
  const refusal = workersRefusal(Deno.build);
  if (refusal !== null) throw new ConfigError([refusal]);
  const { clock, ledger, log, metrics, sources } = deps;
  const listeners = config.WORKERS;
  const address = claimPort(config);
  const { maxSockets, maxClients } = await roomFor(config, { log, listeners });
  ledger.lower("connections", maxClients);
  const workerConfig = { ...config, MAX_CONNECTIONS: maxClients };
  const back = createBack(config, { ...deps, random });
  const keeper = new Keeper<WorkerStart>({
    count: config.WORKERS,
    entry,
    startOf: (number) => ({
      number,
      config: workerConfig,
      logFormat,
      port: address.port,
      maxSockets,
    }),
    back,
    feedStateOf: (tenantId) => feedStateOf(back, tenantId),
    metrics,
    pollIntervalMs: config.WS_POLL_SECONDS * 1_000,
    ...(stuckMs === undefined ? {} : { stuckMs }),
    clock,
    log,
  });
  metrics.watch({
    feeds: () => back.feeds.usage,
    sources: () => sources.state(),
    hearing: () => sources.signals?.isHearing ?? null,
    crossings: () => crossingsOf(ledger),
  });
  let metricsEngine: Engine | null = null;
  try {
    metricsEngine = await listenForMetrics(keeper, { config, log, ledger });
    await keeper.open();
  } catch (error) {
    await metricsEngine?.shutdown(0);
    await back[Symbol.asyncDispose]();
    throw error;
  }
  const loopLag = watchLoopLag(metrics);
  sayListening({ engine: address, metricsEngine }, { config, log });
  void keeper.readiness.look();
  return {
    engine: address,
    metricsEngine,
    keeper,
    async leave() {
      await keeper.leave(config.DRAIN_SECONDS * 1_000);
      await metricsEngine?.shutdown(STOP_MS);
      loopLag[Symbol.dispose]();
      // A database that hangs must not hold up who leaves.
      await waitFor(back[Symbol.asyncDispose](), { atMostMs: STOP_MS, clock });
    },
  };
}

/** Why there can be no workers here; null where there can. */
export function workersRefusal(
  { os, standalone }: Pick<typeof Deno.build, "os" | "standalone">,
): string | null {
  if (os !== "linux") return `WORKERS must be 1 on ${os}: only Linux spreads clients over them`;
  if (standalone) return "WORKERS must be 1 in an executable: it can't load a worker's modules";
  return null;
}

/** Where all will listen. Threads that share a port would share it with a stranger, too: nobody may have it now. */
function claimPort({ HOST: hostname, PORT: port }: Config): { hostname: string; port: number } {
  try {
    using listener = Deno.listen({ hostname, port });
    return { hostname: listener.addr.hostname, port: listener.addr.port };
  } catch (error) {
    throw new ListenError({ hostname, port }, error);
  }
}
