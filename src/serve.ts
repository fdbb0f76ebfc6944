// Serves an app on the engine that the settings choose, until told to leave. It knows signals' meaning, not signals.
import type { App } from "./app.ts";
import { systemClock as clock, waitFor } from "./clock.ts";
import { type Config, ConfigError } from "./config.ts";
import { roomFor } from "./descriptors.ts";
import { addressOf, listenForClients, listenForMetrics } from "./listen.ts";
import type { Log } from "./observe/log.ts";
import { watchLoopLag } from "./observe/loop_lag.ts";
import { isTracing } from "./observe/traces.ts";
import type { Engine, EngineOptions } from "./sockets/socket.ts";

/** What each engine can't defend against, said at start. */
const WEAKNESS: Readonly<Record<Config["WS_ENGINE"], string | null>> = {
  ws: null,
  deno:
    "The deno engine bounds no message and no header, can't end a stuck peer, and never frees the descriptor of a " +
    "client that leaves before its upgrade is answered: don't let it face the internet",
};

/** How long requests under way, and then the databases' connections, may take once every socket is gone. */
export const STOP_MS = 1_000;

export interface Serving {
  readonly engine: Pick<Engine, "hostname" | "port">;
  /** The listener of METRICS_PORT; null where it is not set. */
  readonly metricsEngine: Engine | null;
  /** Closes every socket, stops listening and ends the sources; resolves within about DRAIN_SECONDS. */
  leave(): Promise<void>;
}

/** Rejects with a ListenError, or with a ConfigError where the engine can't be traced. */
export async function serve(
  app: App,
  { config, log, fetch = app.fetch }: {
    config: Config;
    log: Log;
    /** Answers in place of the app's own `fetch`. */
    fetch?: EngineOptions["fetch"];
  },
): Promise<Serving> {
  if (config.WS_ENGINE === "deno" && isTracing()) {
    // The runtime's spans hold each URL before anybody sees the request.
    throw new ConfigError(["WS_ENGINE must be ws while traces are exported: they'd hold tokens"]);
  }
  const { maxSockets, maxClients } = await roomFor(config, { log });
  app.ledger.lower("connections", maxClients);
  const engine = await listenForClients(app, {
    config,
    log,
    port: config.PORT,
    maxSockets,
    fetch,
  });
  let metricsEngine: Engine | null;
  try {
    metricsEngine = await listenForMetrics(app.metrics, { config, log, ledger: app.ledger });
  } catch (error) {
    await engine.shutdown(0);
    throw error;
  }
  const loopLag = watchLoopLag(app.metrics);
  const weakness = WEAKNESS[config.WS_ENGINE];
  sayListening({ engine, metricsEngine }, { config, log });
  if (weakness !== null) log.warning("engine_weakness", { engine: config.WS_ENGINE, weakness });
  void app.readiness.look();
  return {
    engine,
    metricsEngine,
    async leave() {
      await app.drain(config.DRAIN_SECONDS * 1_000);
      await Promise.all([engine.shutdown(STOP_MS), metricsEngine?.shutdown(STOP_MS)]);
      loopLag[Symbol.dispose]();
      // A database that hangs must not hold up who leaves.
      await waitFor(app[Symbol.asyncDispose](), { atMostMs: STOP_MS, clock });
    },
  };
}

/** The lines that say where the service takes clients. */
export function sayListening(
  { engine, metricsEngine }: {
    readonly engine: Pick<Engine, "hostname" | "port">;
    readonly metricsEngine: Engine | null;
  },
  { config, log }: { readonly config: Config; readonly log: Log },
): void {
  log.info("listening", {
    engine: config.WS_ENGINE,
    address: addressOf(engine, { isTls: config.TLS_CERT !== undefined }),
    poll_seconds: config.WS_POLL_SECONDS,
    telemetry: config.TELEMETRY_SOURCE === "influxdb"
      ? `influxdb (${config.INFLUXDB_QUERY})`
      : "postgres",
    ...(config.WORKERS > 1 ? { workers: config.WORKERS } : {}),
  });
  if (metricsEngine !== null) {
    log.info("metrics_listening", { address: addressOf(metricsEngine, { isTls: false }) });
  }
}
