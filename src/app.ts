// Wires the rooms together: sources, feeds, connections, the door and the routes. It decides nothing itself.
import { createVerifier } from "./auth/verifier.ts";
import type { KeyOptions } from "./auth/key_source.ts";
import type { Clock } from "./clock.ts";
import type { Config } from "./config.ts";
import { ConnectionManager } from "./connections/connection_manager.ts";
import { session } from "./connections/session.ts";
import { CLOSINGS } from "./errors.ts";
import { FeedRegistry } from "./feed/feed_registry.ts";
import { Door } from "./http/door.ts";
import { routes } from "./http/routes.ts";
import type { Log } from "./observe/log.ts";
import { type Sources } from "./sources/open_sources.ts";
import type { Admission, Handshake } from "./sockets/socket.ts";

export interface AppDeps {
  readonly sources: Sources;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
}

export interface App extends AsyncDisposable {
  /** Answers every request that is no upgrade of the socket path. */
  readonly fetch: (request: Request) => Response | Promise<Response>;
  readonly admit: (handshake: Handshake) => Promise<Admission>;
  readonly manager: ConnectionManager;
  readonly feeds: FeedRegistry;
  /** Lets nobody in any more, closes every socket and resolves when all are gone or after `graceMs`. */
  drain(graceMs: number): Promise<void>;
}

/** Bytes that may wait in one socket, the next push included. */
const SOCKET_HIGH_WATER_BYTES = 256 * 1024;
/** Greatest number of open alerts in one `alerts` message. */
const MAX_ALERTS = 100;
/** A feed outlives its last connection this long: a page that reloads finds its phase and its pauses as they were. */
const FEED_LINGER_MS = 1_000;

export function createApp(config: Config, deps: AppDeps): App {
  const { sources, clock, log, random = Math.random } = deps;
  const pollIntervalMs = config.WS_POLL_SECONDS * 1_000;
  const stopped = new AbortController();
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
    highWaterBytes: SOCKET_HIGH_WATER_BYTES,
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
  const door = new Door({
    verifier,
    accept: new Set(["query"]),
    maxRefusedSockets: config.MAX_REFUSED_SOCKETS,
    log,
    enter: (socket, scope) => session(manager.connect(socket, scope), { manager, log }),
  });

  return {
    fetch: routes(),
    admit: (handshake) => door.admit(handshake),
    manager,
    feeds,
    async drain(graceMs) {
      door.shut();
      const { closeCode, sentence } = CLOSINGS.draining;
      for (const { socket } of manager.connections) socket.close(closeCode, sentence);
      const deadline = clock.now() + graceMs;
      while (manager.connectionCount > 0 && clock.now() < deadline) {
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, 20));
      }
      for (const { socket } of manager.connections) socket.terminate();
    },
    async [Symbol.asyncDispose]() {
      stopped.abort();
      feeds[Symbol.dispose]();
      await sources[Symbol.asyncDispose]();
    },
  };
}

function keysOf(config: Config): KeyOptions {
  if (config.JWKS_URL !== undefined) return { kind: "jwks", url: new URL(config.JWKS_URL) };
  if (config.OIDC_ISSUER !== undefined) return { kind: "issuer", issuer: config.OIDC_ISSUER };
  if (config.JWT_SECRET !== undefined) return { kind: "secret", secret: config.JWT_SECRET };
  throw new Error("No key to verify tokens with is set");
}
