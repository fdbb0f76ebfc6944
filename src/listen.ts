// Opens the listeners of the service: the clients' on the engine that the settings choose, and that of METRICS_PORT. It
// decides nothing about who may come in.
import type { Config } from "./config.ts";
import type { Front } from "./front.ts";
import { TrustedProxies } from "./http/client_address.ts";
import { metricsPage, type MetricsText } from "./http/metrics_page.ts";
import { SOCKET_PATH } from "./http/routes.ts";
import type { LimitLedger } from "./limits/limits.ts";
import type { Log } from "./observe/log.ts";
import { serveDeno } from "./sockets/deno_engine.ts";
import { ListenError } from "./sockets/listen_error.ts";
import type { Engine, EngineOptions } from "./sockets/socket.ts";
import { serveWs } from "./sockets/ws_engine.ts";

export interface ListenOptions {
  readonly config: Config;
  readonly log: Log;
}

export interface ClientListenOptions extends ListenOptions {
  readonly port: number;
  /** TCP connections that this listener accepts. */
  readonly maxSockets: number;
  /** How many share the port. */
  readonly listeners?: number;
  /** Answers in place of the front's own `fetch`. */
  readonly fetch?: EngineOptions["fetch"];
}

const ENGINES = { ws: serveWs, deno: serveDeno };

const KEEP_ALIVE_MS = 65_000;
/** Connections of one address beside its seats, or a tenth of them where that is more: for plain HTTP, and for refusals. */
const SPARE_SOCKETS = 16;
/** Scrapers are few; whoever else comes to their port must not take the clients' descriptors. */
const METRICS_LIMITS: EngineOptions["limits"] = {
  maxMessageBytes: 1_024,
  maxSockets: 32,
  headerTimeoutMs: 5_000,
  keepAliveTimeoutMs: KEEP_ALIVE_MS,
  pingIntervalMs: KEEP_ALIVE_MS,
};

/** Rejects with a ListenError. */
export async function listenForClients(
  { admit, fetch: own, ledger }: Pick<Front, "admit" | "fetch" | "ledger">,
  { config, log, port, maxSockets, listeners = 1, fetch = own }: ClientListenOptions,
): Promise<Engine> {
  const { TLS_CERT: cert, TLS_KEY: key, MAX_CONNECTIONS_PER_ADDRESS: seats } = config;
  const proxies = new TrustedProxies(config.TRUSTED_PROXIES);
  return await listen(ENGINES[config.WS_ENGINE], {
    hostname: config.HOST,
    port,
    path: SOCKET_PATH,
    fetch,
    admit,
    limits: {
      maxMessageBytes: config.MAX_MESSAGE_BYTES,
      maxSockets,
      maxSocketsOfAddress: {
        most: seats + Math.max(SPARE_SOCKETS, Math.ceil(seats / 10)),
        keyOf: (address) => proxies.keyOf(address),
      },
      headerTimeoutMs: config.HANDSHAKE_TIMEOUT_SECONDS * 1_000,
      keepAliveTimeoutMs: KEEP_ALIVE_MS,
      pingIntervalMs: config.PING_SECONDS * 1_000,
    },
    tls: cert === undefined || key === undefined ? null : { cert, key },
    listeners,
    crossed: (limit) => ledger.crossed(limit),
    failed: (fault, error) => log.error(fault, { error }),
  });
}

/**
 * Null where METRICS_PORT is not set. Always on the engine that bounds what comes to it; nobody upgrades there. Rejects
 * with a ListenError.
 */
export async function listenForMetrics(
  metrics: MetricsText,
  { config, log, ledger }: ListenOptions & { readonly ledger: LimitLedger },
): Promise<Engine | null> {
  const { METRICS_PORT: port, METRICS_HOST: hostname = config.HOST } = config;
  if (port === undefined) return null;
  return await listen(serveWs, {
    hostname,
    port,
    path: SOCKET_PATH,
    fetch: metricsPage(metrics),
    admit: () =>
      Promise.resolve({ kind: "respond", response: new Response(null, { status: 404 }) }),
    limits: METRICS_LIMITS,
    tls: null,
    crossed: (limit) => ledger.crossed(limit),
    failed: (fault, error) => log.error(fault, { error }),
  });
}

/** Where the engine can be reached, as a URL. */
export function addressOf(
  { hostname, port }: Pick<Engine, "hostname" | "port">,
  { isTls }: { readonly isTls: boolean },
): string {
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return `${isTls ? "https" : "http"}://${host}:${port}`;
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
