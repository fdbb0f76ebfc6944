// Wires the rooms together: sources, feeds, connections, the door and the routes. It decides nothing itself.
import type { CredentialPlace } from "./auth/credential.ts";
import type { KeyOptions } from "./auth/key_source.ts";
import { Tickets } from "./auth/tickets.ts";
import { createVerifier } from "./auth/verifier.ts";
import type { Clock } from "./clock.ts";
import { type Config, limitsOf } from "./config.ts";
import { ConnectionManager } from "./connections/connection_manager.ts";
import { farewell } from "./connections/farewell.ts";
import { Session } from "./connections/session.ts";
import { FeedRegistry } from "./feed/feed_registry.ts";
import { TrustedProxies } from "./http/client_address.ts";
import { Door } from "./http/door.ts";
import { Readiness } from "./http/readiness.ts";
import { type FetchHandler, routes } from "./http/routes.ts";
import { LimitLedger } from "./limits/limits.ts";
import { Seats } from "./limits/seats.ts";
import { KeyedBuckets } from "./limits/token_bucket.ts";
import type { Log } from "./observe/log.ts";
import { type Sources } from "./sources/open_sources.ts";
import { SideReads } from "./sources/side_reads.ts";
import type { Admission, Handshake } from "./sockets/socket.ts";
import { SERVER } from "./version.ts";

export interface AppDeps {
  readonly sources: Sources;
  readonly clock: Clock;
  readonly log: Log;
  /** Shared with whoever else counts crossings. */
  readonly ledger?: LimitLedger;
  readonly random?: () => number;
}

export interface App extends AsyncDisposable {
  /** Answers every request that is no upgrade of the socket path. */
  readonly fetch: FetchHandler;
  readonly admit: (handshake: Handshake) => Promise<Admission>;
  readonly manager: ConnectionManager;
  readonly feeds: FeedRegistry;
  readonly ledger: LimitLedger;
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
/** Tenants whose HTTP reads are counted at once. */
const MAX_COUNTED_TENANTS = 10_000;
const REQUEST_BURST_SECONDS = 2;

export function createApp(config: Config, deps: AppDeps): App {
  const { sources, clock, log, ledger = new LimitLedger(limitsOf(config)), random = Math.random } =
    deps;
  const pollIntervalMs = config.WS_POLL_SECONDS * 1_000;
  const stopped = new AbortController();
  const seats = new Seats(ledger);
  const feeds = new FeedRegistry({
    telemetry: sources.telemetry,
    alerts: sources.alerts,
    pollIntervalMs,
    maxAlerts: MAX_ALERTS,
    lingerMs: FEED_LINGER_MS,
    clock,
    log,
    random,
  });
  const manager = new ConnectionManager({
    feeds,
    clock,
    log,
    pollIntervalMs,
    highWaterBytes: ledger.values.socket_buffer_bytes,
    slowClientMs: config.SLOW_CLIENT_SECONDS * 1_000,
    missed: () => ledger.crossed("socket_buffer_bytes"),
  });
  const verifier = createVerifier({
    keys: keysOf(config),
    issuer: config.JWT_ISSUER,
    audience: config.JWT_AUDIENCE,
    clockToleranceSeconds: config.JWT_CLOCK_TOLERANCE_SECONDS,
    tenantClaim: config.JWT_TENANT_CLAIM,
    roleClaim: config.JWT_ROLE_CLAIM,
    allowedRoles: config.ALLOWED_ROLES,
    clock,
    log,
    signal: stopped.signal,
  });
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
  const reads = new SideReads({
    sources,
    maxReads: ledger.values.reads,
    lookbackMs: config.TELEMETRY_LOOKBACK,
    futureMs: config.FUTURE_SECONDS * 1_000,
    clock,
    log,
    signal: stopped.signal,
  });
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

  return {
    fetch: routes({
      ...shared,
      readiness,
      ticketSeconds: TICKET_SECONDS,
      isDraining: () => door.isShut,
      log,
      reads,
      requests,
      futureMs: config.FUTURE_SECONDS * 1_000,
      server: SERVER,
      clock,
    }),
    admit: (handshake) => door.admit(handshake),
    manager,
    feeds,
    ledger,
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

function placesOf(config: Config): ReadonlySet<CredentialPlace> {
  const places: CredentialPlace[] = ["header", "subprotocol", "ticket"];
  return new Set(config.ALLOW_QUERY_TOKEN ? ["query", ...places] : places);
}

function keysOf(config: Config): KeyOptions {
  if (config.JWKS_URL !== undefined) return { kind: "jwks", url: new URL(config.JWKS_URL) };
  if (config.OIDC_ISSUER !== undefined) return { kind: "issuer", issuer: config.OIDC_ISSUER };
  if (config.JWT_SECRET !== undefined) return { kind: "secret", secret: config.JWT_SECRET };
  throw new Error("No key to verify tokens with is set");
}
