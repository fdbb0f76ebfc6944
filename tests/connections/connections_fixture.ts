// Connections, feeds and sessions as the service composes them, over sockets and databases in memory.
import type { Scope } from "../../src/auth/scope.ts";
import type { Connection } from "../../src/connections/connection.ts";
import { ConnectionManager } from "../../src/connections/connection_manager.ts";
import { session } from "../../src/connections/session.ts";
import { FeedRegistry, type Feeds } from "../../src/feed/feed_registry.ts";
import type { Snapshot } from "../../src/feed/seam.ts";
import type { ServerMessage } from "../../src/protocol/server_messages.ts";
import type { SocketEvents } from "../../src/sockets/socket.ts";
import { type FakeClock, fakeClock } from "../support/fake_clock.ts";
import { type FakeSources, fakeSources } from "../support/fake_sources.ts";
import { type MemoryLog, memoryLog } from "../support/memory_log.ts";
import { FakeSocket } from "./fake_socket.ts";

export const POLL_MS = 1_000;
export const PHASE_MS = 500;
export const LINGER_MS = 300;
export const HIGH_WATER_BYTES = 1_000;

export interface ConnectionsFixture extends Disposable {
  readonly clock: FakeClock;
  readonly sources: FakeSources;
  readonly log: MemoryLog;
  readonly feeds: FeedRegistry;
  readonly manager: ConnectionManager;
  connect(tenantId?: string): TestConnection;
  /** Lets one interval pass. */
  tick(): Promise<void>;
}

/** One client as its socket sees it: says what a client says, keeps what it was sent. */
export class TestConnection {
  readonly socket: FakeSocket;
  readonly connection: Connection;
  readonly #events: SocketEvents;

  constructor(socket: FakeSocket, connection: Connection, events: SocketEvents) {
    this.socket = socket;
    this.connection = connection;
    this.#events = events;
  }

  follow(deviceId: string): void {
    this.#say({ action: "subscribe", type: "device", device_id: deviceId });
  }

  unfollow(deviceId: string): void {
    this.#say({ action: "unsubscribe", type: "device", device_id: deviceId });
  }

  followAlerts(): void {
    this.#say({ action: "subscribe", type: "alerts" });
  }

  unfollowAlerts(): void {
    this.#say({ action: "unsubscribe", type: "alerts" });
  }

  leave(code = 1001): void {
    this.#events.closed(code);
  }

  /** Everything sent since the last call. */
  take(): ServerMessage[] {
    return this.socket.take().map(({ message }) => message);
  }

  /** The pushes among it, short: a device's id and its newest value, or `alerts`. */
  pushes(): string[] {
    return this.take().flatMap((message) => {
      if (message.type === "alerts") return ["alerts"];
      if (message.type !== "telemetry") return [];
      return [`${message.device_id} ${JSON.stringify(message.data.metrics)}`];
    });
  }

  #say(message: unknown): void {
    this.#events.text(JSON.stringify(message));
  }
}

export interface FixtureOptions {
  /** Stands before the databases in memory. */
  readonly wrap?: (sources: FakeSources) => Pick<FakeSources, "telemetry" | "alerts">;
  /** Sees every snapshot before the connections do. */
  readonly watch?: (snapshot: Snapshot) => void;
}

export function connectionsFixture(
  { wrap = (sources) => sources, watch = () => {} }: FixtureOptions = {},
): ConnectionsFixture {
  const clock = fakeClock();
  const sources = fakeSources();
  const log = memoryLog();
  const { telemetry, alerts } = wrap(sources);
  const shared = { clock, log, pollIntervalMs: POLL_MS };
  const feeds = new FeedRegistry({
    ...shared,
    telemetry,
    alerts,
    maxAlerts: 100,
    lingerMs: LINGER_MS,
    random: () => PHASE_MS / POLL_MS,
  });
  const watched: Feeds = {
    change: (change) => feeds.change(change),
    listen: (listener) =>
      feeds.listen((snapshot) => {
        watch(snapshot);
        listener(snapshot);
      }),
  };
  const manager = new ConnectionManager({
    ...shared,
    feeds: watched,
    highWaterBytes: HIGH_WATER_BYTES,
  });
  return {
    clock,
    sources,
    log,
    feeds,
    manager,
    connect(tenantId = "acme") {
      const socket = new FakeSocket();
      const connection = manager.connect(socket, scopeOf(tenantId));
      return new TestConnection(socket, connection, session(connection, { manager, log }));
    },
    tick: () => clock.advance(POLL_MS),
    [Symbol.dispose]: () => feeds[Symbol.dispose](),
  };
}

/** What a token of the tenant would say. */
export function scopeOf(tenantId: string): Scope {
  return {
    tenantId,
    userId: `user of ${tenantId}`,
    email: `someone@${tenantId}.example`,
    role: "customer_viewer",
    expiresAt: Number.MAX_SAFE_INTEGER,
  };
}
