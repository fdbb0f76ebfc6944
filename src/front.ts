// Wires what faces clients: verifier, connections, the door and the routes. What is counted, read and fetched for the whole
// service it asks of whoever has that; it must not care who does.
import type { CredentialPlace } from "./auth/credential.ts";
import type { Verifier } from "./auth/verifier.ts";
import { type Back, TICKET_SECONDS } from "./back.ts";
import type { Clock } from "./clock.ts";
import type { Config } from "./config.ts";
import { ConnectionManager } from "./connections/connection_manager.ts";
import { farewell } from "./connections/farewell.ts";
import { Session } from "./connections/session.ts";
import type { PageOptions } from "./dashboard/page_file.ts";
import { TrustedProxies } from "./http/client_address.ts";
import { Door } from "./http/door.ts";
import type { MetricsText } from "./http/metrics_page.ts";
import type { Readiness } from "./http/readiness.ts";
import { type FetchHandler, routes, type RoutesOptions } from "./http/routes.ts";
import type { StreamState } from "./http/stream_status.ts";
import type { LimitLedger } from "./limits/limits.ts";
import type { Log } from "./observe/log.ts";
import type { Metrics } from "./observe/metrics.ts";
import type { Admission, Handshake } from "./sockets/socket.ts";
import { verifierFromConfig } from "./verifier_from_config.ts";
import { SERVER } from "./version.ts";

/** How the whole service stands, for whoever asks over HTTP. */
export interface Standing {
  readonly readiness: Pick<Readiness, "report">;
  readonly stream: StreamState;
  readonly metricsText: MetricsText;
  readonly isAlive: NonNullable<RoutesOptions["isAlive"]>;
}

/** The rooms that know what this thread's clients have. */
export interface FrontRooms {
  readonly manager: ConnectionManager;
  readonly door: Door;
  readonly verifier: Verifier;
}

export interface FrontDeps<Said extends Standing> {
  readonly back: Back;
  readonly standing: (rooms: FrontRooms) => Said;
  readonly clock: Clock;
  readonly log: Log;
  readonly ledger: LimitLedger;
  readonly metrics: Metrics;
  readonly random: () => number;
}

export interface Front<Said extends Standing = Standing> extends FrontRooms {
  /** Answers every request that is no upgrade of the socket path. */
  readonly fetch: FetchHandler;
  readonly admit: (handshake: Handshake) => Promise<Admission>;
  readonly ledger: LimitLedger;
  readonly standing: Said;
  /** Lets nobody in any more, closes every socket and resolves when all are gone or after `withinMs`. */
  drain(withinMs: number): Promise<void>;
}

/** An answer in which nothing moves for 65 s is ended as one that nobody takes. */
const MAX_KEEP_AWAKE_MS = 30_000;

export function createFront<Said extends Standing>(
  config: Config,
  deps: FrontDeps<Said>,
): Front<Said> {
  const { back, clock, log, ledger, metrics, random } = deps;
  const pollIntervalMs = config.WS_POLL_SECONDS * 1_000;
  const futureMs = config.FUTURE_SECONDS * 1_000;
  const manager = new ConnectionManager({
    feeds: back.feeds,
    clock,
    log,
    pollIntervalMs,
    highWaterBytes: ledger.values.socket_buffer_bytes,
    slowClientMs: config.SLOW_CLIENT_SECONDS * 1_000,
    history: {
      histories: back.histories,
      listDevices: back.listDevices,
      historyMs: ledger.values.history_seconds * 1_000,
      lateMs: config.LATE_SECONDS * 1_000,
      futureMs,
      random,
    },
    metrics,
    missed: () => {
      ledger.crossed("socket_buffer_bytes");
      metrics.missedTick();
    },
  });
  const verifier = verifierFromConfig(config, { clock, keySet: back.keySet });
  const shared = {
    verifier,
    tickets: back.tickets,
    allowedOrigins: config.ALLOWED_ORIGINS.length === 0 ? null : new Set(config.ALLOWED_ORIGINS),
    proxies: new TrustedProxies(config.TRUSTED_PROXIES),
    ledger,
    handshakes: back.handshakes,
    seats: back.seats,
    log,
  };
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
    refusals: back.refusals,
    metrics,
    enter: (socket, scope) => new Session(manager.connect(socket, scope), sessionOptions),
  });
  const standing = deps.standing({ manager, door, verifier });
  return {
    fetch: routes({
      ...shared,
      ...standing,
      door,
      places: placesOf(config),
      keepAwakeMs: Math.min(config.PING_SECONDS * 1_000, MAX_KEEP_AWAKE_MS),
      ticketSeconds: TICKET_SECONDS,
      isDraining: () => door.isShut,
      page: pageOf(config),
      metricsText: config.METRICS_PORT === undefined ? standing.metricsText : null,
      reads: back.reads,
      requests: back.requests,
      futureMs,
      server: SERVER,
      clock,
    }),
    admit: (handshake) => door.admit(handshake),
    manager,
    ledger,
    door,
    verifier,
    standing,
    async drain(withinMs) {
      door.shut();
      await farewell(manager, { clock, random, withinMs });
    },
  };
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
