// Connections, feeds and sessions as the service composes them, over sockets and databases in memory.
import { AuthError } from "../../src/auth/auth_error.ts";
import type { Scope } from "../../src/auth/scope.ts";
import type { Connection } from "../../src/connections/connection.ts";
import {
  ConnectionManager,
  type HistoryOptions,
} from "../../src/connections/connection_manager.ts";
import type { Verifier } from "../../src/auth/verifier.ts";
import { Session } from "../../src/connections/session.ts";
import { LimitLedger, type LimitName, LIMITS, type LimitValues } from "../../src/limits/limits.ts";
import { FeedRegistry, type Feeds } from "../../src/feed/feed_registry.ts";
import type { InterestChange, Snapshot } from "../../src/feed/seam.ts";
import { frameText } from "../../src/protocol/frame.ts";
import type { ServerMessage } from "../../src/protocol/server_messages.ts";
import type { SourceState } from "../../src/sources/source_guard.ts";
import type { SocketEvents } from "../../src/sockets/socket.ts";
import { type FakeClock, fakeClock } from "../support/fake_clock.ts";
import { type FakeSources, fakeSources } from "../support/fake_sources.ts";
import { FEED_BOUNDS, histories, type HistoriesOptions } from "../support/histories.ts";
import { type MemoryLog, memoryLog } from "../support/memory_log.ts";
import { feedsOfWorkers } from "../workers/feeds_of_workers.ts";
import { FakeSocket } from "./fake_socket.ts";
import { shortMessage } from "./short_message.ts";

export const POLL_MS = 1_000;
export const PHASE_MS = 500;
export const LINGER_MS = 300;
export const HIGH_WATER_BYTES = 1_000;
export const SLOW_CLIENT_MS = 5_000;

export interface ConnectionsFixture extends Disposable {
  readonly clock: FakeClock;
  readonly sources: FakeSources;
  readonly log: MemoryLog;
  readonly feeds: FeedRegistry;
  /** The one of the first worker, where there are several. */
  readonly manager: ConnectionManager;
  readonly ledger: LimitLedger;
  /** Of all workers. */
  readonly connectionCount: number;
  /** Connects to the workers in turn. */
  connect(tenantId?: string, scope?: Partial<Scope>): TestConnection;
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

  /** Asks for devices, in the way that the fields say. */
  subscribe(deviceIds: string | readonly string[], fields: Readonly<Record<string, unknown>> = {}) {
    const target = typeof deviceIds === "string"
      ? { device_id: deviceIds }
      : { device_ids: deviceIds };
    this.#say({ action: "subscribe", type: "device", ...target, ...fields });
  }

  subscribeAlerts(fields: Readonly<Record<string, unknown>> = {}): void {
    this.#say({ action: "subscribe", type: "alerts", ...fields });
  }

  followFleet(): void {
    this.#say({ action: "subscribe", type: "fleet" });
  }

  unfollowFleet(): void {
    this.#say({ action: "unsubscribe", type: "fleet" });
  }

  hello(...features: readonly string[]): void {
    this.#say({ action: "hello", features });
  }

  /** Says something as text, as it stands. */
  say(text: string): void {
    this.#events.text(text);
  }

  sayBinary(byteLength: number): void {
    this.#events.binary(byteLength);
  }

  leave(code = 1001): void {
    this.#events.closed(code);
  }

  /** Everything sent since the last call, as it stands on the wire. */
  texts(): string[] {
    return this.socket.take().map(frameText);
  }

  /** Everything sent since the last call. */
  take(): ServerMessage[] {
    return this.socket.take().map(({ message }) => message);
  }

  /** The same, each message in a few characters. */
  short(): string[] {
    return this.take().map(shortMessage);
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
  readonly limits?: Partial<LimitValues>;
  /** Default: SLOW_CLIENT_MS. */
  readonly slowClientMs?: number;
  /** Default: HIGH_WATER_BYTES. */
  readonly highWaterBytes?: number;
  readonly historySamples?: number;
  readonly maxOpenAlerts?: number;
  readonly maxFleetDevices?: number;
  /** What the guards before the databases say of them. */
  readonly states?: () => Readonly<Record<"telemetry" | "alerts", SourceState>>;
  /** Asked for instead of the real reader of histories. */
  readonly wrapHistories?: (options: HistoryOptions) => HistoryOptions;
  /** Verifies what `auth` sends; nobody's token is good by default. */
  readonly verify?: Verifier["verify"];
  /** How many share the feeds, each with connections of its own; one that has the feeds itself by default. */
  readonly workers?: number;
}

export function connectionsFixture(options: FixtureOptions = {}): ConnectionsFixture {
  const { wrap = (sources) => sources, watch = () => {} } = options;
  const { limits = {}, slowClientMs = SLOW_CLIENT_MS, verify = noToken } = options;
  const { highWaterBytes = HIGH_WATER_BYTES, wrapHistories = (history) => history } = options;
  const { historySamples, maxOpenAlerts = FEED_BOUNDS.maxOpenAlerts, workers = 1 } = options;
  const { maxFleetDevices = FEED_BOUNDS.maxFleetDevices, states = FEED_BOUNDS.states } = options;
  const clock = fakeClock();
  const sources = fakeSources();
  const log = memoryLog();
  const { telemetry, alerts } = wrap(sources);
  const ledger = new LimitLedger({ ...defaultLimits(), ...limits });
  const shared = { clock, log, pollIntervalMs: POLL_MS };
  const feeds = new FeedRegistry({
    ...shared,
    telemetry,
    alerts,
    maxAlerts: 100,
    ...FEED_BOUNDS,
    maxOpenAlerts,
    maxFleetDevices,
    states,
    lingerMs: LINGER_MS,
    random: () => PHASE_MS / POLL_MS,
  });
  const watched = {
    change: (change: InterestChange) => feeds.change(change),
    interestOf: (tenantId: string) => feeds.interestOf(tenantId),
    statusesOf: (tenantId: string) => feeds.statusesOf(tenantId),
    listen: (listener: (snapshot: Snapshot) => void) =>
      feeds.listen((snapshot) => {
        watch(snapshot);
        listener(snapshot);
      }),
  };
  const asked: HistoriesOptions = {
    sources: { telemetry, alerts },
    clock,
    log,
    maxOpenAlerts,
    random: () => 0.5,
    ...(historySamples === undefined ? {} : { historySamples }),
  };
  const fronts: readonly Feeds[] = workers === 1
    ? [watched]
    : feedsOfWorkers({ ...shared, feeds: watched, count: workers }).map(({ feeds }) => feeds);
  const history = wrapHistories(histories(asked));
  const [manager, ...others] = fronts.map((front) =>
    new ConnectionManager({
      ...shared,
      feeds: front,
      highWaterBytes,
      slowClientMs,
      history,
      missed: () => ledger.crossed("socket_buffer_bytes"),
    })
  );
  if (manager === undefined) throw new RangeError("There must be a worker");
  const managers = [manager, ...others];
  let connected = 0;
  const verifier: Verifier = {
    verify,
    reach: () => Promise.resolve(true),
    state: { reached: true, failure: null },
  };
  const sessionOptions = { verifier, ledger, server: SERVER, pollSeconds: 1, clock, log };
  return {
    clock,
    sources,
    log,
    feeds,
    manager,
    ledger,
    connect(tenantId = "acme", scope = {}) {
      const socket = new FakeSocket();
      const next = managers[connected++ % managers.length] ?? manager;
      const connection = next.connect(socket, { ...scopeOf(tenantId), ...scope });
      const session = new Session(connection, { ...sessionOptions, manager: next });
      return new TestConnection(socket, connection, session);
    },
    get connectionCount() {
      return managers.reduce((sum, { connectionCount }) => sum + connectionCount, 0);
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
    expiresAt: NEVER,
  };
}

/** Every limit's default. */
export function defaultLimits(): LimitValues {
  const entries = Object.entries(LIMITS) as Array<[LimitName, { fallback: number }]>;
  return Object.fromEntries(entries.map(([name, { fallback }]) => [name, fallback])) as LimitValues;
}

/** The last instant that a Date can hold. */
const NEVER = 8.64e15;
const SERVER = "pulsewire/test";

function noToken(): Promise<never> {
  return Promise.reject(new AuthError("invalid_token", "Nobody's token is good here"));
}
