// Serves an app on the engine that the settings choose, until told to leave. It knows signals' meaning, not signals.
import type { App } from "./app.ts";
import { type Config, ConfigError } from "./config.ts";
import { metricsPage } from "./http/metrics_page.ts";
import { SOCKET_PATH } from "./http/routes.ts";
import { ListenError } from "./sockets/listen_error.ts";
import type { Log } from "./observe/log.ts";
import { watchLoopLag } from "./observe/loop_lag.ts";
import { openFileLimit } from "./observe/open_file_limit.ts";
import { isTracing } from "./observe/traces.ts";
import { serveDeno } from "./sockets/deno_engine.ts";
import type { Engine, EngineOptions } from "./sockets/socket.ts";
import { serveWs } from "./sockets/ws_engine.ts";

/** What each engine can't defend against, said at start. */
const WEAKNESS: Readonly<Record<Config["WS_ENGINE"], string | null>> = {
  ws: null,
  deno:
    "The deno engine bounds no message and no header, can't end a stuck peer, and never frees the descriptor of a " +
    "client that leaves before its upgrade is answered: don't let it face the internet",
};

const ENGINES = { ws: serveWs, deno: serveDeno };

/** Descriptors beside those of clients: databases, the issuer, files, and what the runtime itself needs. */
const RESERVED_DESCRIPTORS = 128;
const KEEP_ALIVE_MS = 65_000;
/** Scrapers are few; whoever else comes to their port must not take the clients' descriptors. */
const METRICS_LIMITS: EngineOptions["limits"] = {
  maxMessageBytes: 1_024,
  maxSockets: 32,
  headerTimeoutMs: 5_000,
  keepAliveTimeoutMs: KEEP_ALIVE_MS,
  pingIntervalMs: KEEP_ALIVE_MS,
};
/** How long requests under way, and then the databases' connections, may take once every socket is gone. */
const STOP_MS = 1_000;

export interface Serving {
  readonly engine: Engine;
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
  const { TLS_CERT: cert, TLS_KEY: key } = config;
  if (config.WS_ENGINE === "deno" && isTracing()) {
    // The runtime's spans hold each URL before anybody sees the request.
    throw new ConfigError(["WS_ENGINE must be ws while traces are exported: they'd hold tokens"]);
  }
  const options: EngineOptions = {
    hostname: config.HOST,
    port: config.PORT,
    path: SOCKET_PATH,
    fetch,
    admit: app.admit,
    limits: {
      maxMessageBytes: config.MAX_MESSAGE_BYTES,
      maxSockets: await maxSockets(config, log),
      headerTimeoutMs: config.HANDSHAKE_TIMEOUT_SECONDS * 1_000,
      keepAliveTimeoutMs: KEEP_ALIVE_MS,
      pingIntervalMs: config.PING_SECONDS * 1_000,
    },
    tls: cert === undefined || key === undefined ? null : { cert, key },
    crossed: (limit) => app.ledger.crossed(limit),
    failed: (fault, error) => log.error(fault, { error }),
  };
  const engine = await listen(ENGINES[config.WS_ENGINE], options);
  let metricsEngine: Engine | null;
  try {
    metricsEngine = await listenForMetrics(app, { config, options });
  } catch (error) {
    await engine.shutdown(0);
    throw error;
  }
  const loopLag = watchLoopLag(app.metrics);
  const weakness = WEAKNESS[config.WS_ENGINE];
  log.info("listening", {
    engine: config.WS_ENGINE,
    address: addressOf(engine, { isTls: options.tls !== null }),
    poll_seconds: config.WS_POLL_SECONDS,
    telemetry: config.TELEMETRY_SOURCE === "influxdb"
      ? `influxdb (${config.INFLUXDB_QUERY})`
      : "postgres",
  });
  if (metricsEngine !== null) {
    log.info("metrics_listening", { address: addressOf(metricsEngine, { isTls: false }) });
  }
  if (weakness !== null) log.warning("engine_weakness", { engine: config.WS_ENGINE, weakness });
  void app.readiness.look();
  return {
    engine,
    metricsEngine,
    async leave() {
      await app.drain(config.DRAIN_SECONDS * 1_000);
      await Promise.all([engine.shutdown(STOP_MS), metricsEngine?.shutdown(STOP_MS)]);
      loopLag[Symbol.dispose]();
      let timer: ReturnType<typeof setTimeout> | undefined;
      const bound = new Promise<void>((resolve) => timer = setTimeout(resolve, STOP_MS));
      // A database that hangs must not hold up who leaves.
      await Promise.race([app[Symbol.asyncDispose](), bound]);
      clearTimeout(timer);
    },
  };
}

/** Always on the engine that bounds what comes to it; nobody upgrades there. */
async function listenForMetrics(
  { metrics }: App,
  { config, options }: { readonly config: Config; readonly options: EngineOptions },
): Promise<Engine | null> {
  const { METRICS_PORT: port, METRICS_HOST: hostname = config.HOST } = config;
  if (port === undefined) return null;
  return await listen(serveWs, {
    ...options,
    hostname,
    port,
    fetch: metricsPage(metrics),
    admit: () =>
      Promise.resolve({ kind: "respond", response: new Response(null, { status: 404 }) }),
    limits: METRICS_LIMITS,
    tls: null,
  });
}

async function listen(
  engine: (options: EngineOptions) => Engine | Promise<Engine>,
  options: EngineOptions,
): Promise<Engine> {
  try {
    return await engine(options);
  } catch (error) {
    throw new ListenError(options, error);
  }
}

function addressOf({ hostname, port }: Engine, { isTls }: { isTls: boolean }): string {
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return `${isTls ? "https" : "http"}://${host}:${port}`;
}

/** TCP connections to accept: the sockets and the refused, and a tenth as many again for plain HTTP. */
async function maxSockets(config: Config, log: Log): Promise<number> {
  const { MAX_CONNECTIONS, MAX_REFUSED_SOCKETS } = config;
  const wanted = MAX_CONNECTIONS + Math.ceil(MAX_CONNECTIONS / 10) + MAX_REFUSED_SOCKETS;
  const needed = wanted + RESERVED_DESCRIPTORS + burstOf(wanted);
  const limit = await openFileLimit();
  if (limit === null) {
    log.info("descriptors_unknown", { needed });
    return wanted;
  }
  if (needed <= limit) return wanted;
  log.warning("descriptors_too_few", {
    limit,
    needed,
    cure: "raise the limit of open files, or lower MAX_CONNECTIONS",
  });
  const left = limit - RESERVED_DESCRIPTORS;
  return Math.max(1, Math.min(wanted, left - burstOf(left)));
}

/** Descriptors that connections take for a moment before those beyond the most are dropped: those of a full backlog. */
function burstOf(sockets: number): number {
  return Math.min(511, Math.ceil(Math.max(0, sockets) / 4));
}
