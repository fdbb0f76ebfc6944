// Who is connected and what each follows; keeps interest in step with subscriptions. It decodes no message, decides
// no read, and knows of a feed only the two messages of the seam.
import type { Scope } from "../auth/scope.ts";
import { type Clock, isYoung, type TimerHandle } from "../clock.ts";
import { ABNORMAL_CLOSE, CLOSINGS } from "../errors.ts";
import type { Feeds } from "../feed/feed_registry.ts";
import type { Snapshot } from "../feed/seam.ts";
import type { Log } from "../observe/log.ts";
import { type Metrics, NO_METRICS, type TenantUsage } from "../observe/metrics.ts";
import type { Socket } from "../sockets/socket.ts";
import type { CatchUpDeps } from "./catch_up.ts";
import { AlertFollowing, type AlertRequest } from "./alert_following.ts";
import { Connection, type ConnectionDeps, type ConnectionMetrics } from "./connection.ts";
import { Deadlines } from "./deadlines.ts";
import { DeviceFollowing } from "./device_following.ts";
import type { DeviceRequest } from "./device_request.ts";
import { FleetSubscription } from "./fleet_subscription.ts";
import type { Begin } from "./progress.ts";
import { PushTurns } from "./push_turns.ts";
import { TenantGroup } from "./tenant_group.ts";
import { usageOf } from "./tenant_usage.ts";

export interface ConnectionManagerOptions {
  readonly feeds: Feeds;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics?: ConnectionMetrics & Pick<Metrics, "closed">;
  /** A state younger than this is sent to a new follower as it is; an older one is read again first. */
  readonly pollIntervalMs: number;
  readonly highWaterBytes: number;
  /** Told of each push that a full socket missed. */
  readonly missed?: () => void;
  /** A socket that has been too full to send for this long is ended. */
  readonly slowClientMs: number;
  /** How clients come back to where they were. */
  readonly history: HistoryOptions;
}

export interface HistoryOptions extends Omit<CatchUpDeps, "clock" | "log"> {
  /** Finds the tenant's devices. */
  readonly listDevices: (tenantId: string, signal: AbortSignal) => Promise<readonly string[]>;
}

/** How often sockets are looked at for being stuck. */
const SWEEP_MS = 1_000;
/** A peer that did not answer a close by then is ended without an answer. */
const CLOSE_TIMEOUT_MS = 3_000;

export class ConnectionManager {
  /** When the connections' tokens are looked at. */
  readonly deadlines: Deadlines;
  readonly #options: ConnectionManagerOptions;
  readonly #deps: ConnectionDeps;
  readonly #groups = new Map<string, TenantGroup>();
  readonly #connections = new Set<Connection>();
  readonly #devices: DeviceFollowing;
  readonly #alerts: AlertFollowing;
  #lastId = 0;
  /** Runs while anybody is connected. */
  #sweepTimer: TimerHandle | null = null;

  constructor(options: ConnectionManagerOptions) {
    this.#options = options;
    const { feeds, clock, log, history: { listDevices, ...history } } = options;
    const shared = {
      feeds,
      log,
      catchUp: { ...history, clock, log },
      begin: this.#begin,
    };
    this.#devices = new DeviceFollowing({ ...shared, clock, listDevices });
    this.#alerts = new AlertFollowing(shared);
    this.deadlines = new Deadlines(clock);
    this.#deps = {
      highWaterBytes: options.highWaterBytes,
      maxAgeMs: options.pollIntervalMs,
      lateMs: history.lateMs,
      clock,
      turns: new PushTurns(clock),
      metrics: options.metrics ?? NO_METRICS,
      missed: options.missed ?? (() => {}),
      behind: (connection, { devices, alerts }) => {
        if (devices.length > 0) this.#devices.recover(connection, devices);
        if (alerts !== null) this.#alerts.recover(connection, alerts);
      },
      failed: (connection, error) => {
        const { id, group: { tenantId } } = connection;
        log.error("push_loop_failed", { connection: id, tenant: tenantId, error });
        const { closeCode, sentence } = CLOSINGS.internal;
        connection.close(closeCode, sentence);
      },
    };
    options.feeds.listen((snapshot) => this.#deliver(snapshot));
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  get connections(): Iterable<Connection> {
    return this.#connections.values();
  }

  /** What each tenant's clients have open and follow. */
  usages(): Iterable<TenantUsage> {
    return this.#groups.values().map(usageOf);
  }

  usageOf(tenantId: string): TenantUsage {
    return usageOf(this.#groups.get(tenantId) ?? { tenantId, connections: new Set() });
  }

  /** The greatest number of devices that one of the tenant's connections follows by name. */
  mostDevicesOf(tenantId: string): number {
    let most = 0;
    for (const { devices } of this.#groups.get(tenantId)?.connections ?? []) {
      most = Math.max(most, devices.size);
    }
    return most;
  }

  /** Takes in an open socket. */
  connect(socket: Socket, scope: Scope): Connection {
    const { feeds, log, clock } = this.#options;
    const { tenantId } = scope;
    let group = this.#groups.get(tenantId);
    if (group === undefined) this.#groups.set(tenantId, group = new TenantGroup(tenantId));
    const id = `c${++this.#lastId}`;
    const connection = new Connection({ id, scope, socket, group }, this.#deps);
    group.connections.add(connection);
    this.#connections.add(connection);
    this.#sweepTimer ??= clock.setTimeout(() => this.#sweep(), SWEEP_MS);
    feeds.change({ tenantId, connections: 1 });
    log.info("connected", { connection: id, tenant: tenantId, email: scope.email });
    return connection;
  }

  /** Ends a connection and takes back all its interest; later calls do nothing. */
  disconnect(connection: Connection, code: number): void {
    if (!this.#connections.delete(connection)) return;
    if (this.#connections.size === 0 && this.#sweepTimer !== null) {
      this.#options.clock.clearTimeout(this.#sweepTimer);
      this.#sweepTimer = null;
    }
    connection.abort();
    const { metrics = NO_METRICS } = this.#options;
    metrics.closed(code);
    const { group, scope, fleet } = connection;
    group.connections.delete(connection);
    const devices = this.#devices.release(connection);
    const alerts = this.#alerts.release(connection);
    if (fleet !== null) group.unfollowFleet();
    connection.fleet = null;
    if (group.connections.size === 0) this.#groups.delete(group.tenantId);
    this.#options.feeds.change({
      tenantId: group.tenantId,
      connections: -1,
      ...devices,
      ...alerts,
      fleet: fleet === null ? 0 : -1,
    });
    this.#options.log.info("disconnected", {
      connection: connection.id,
      tenant: group.tenantId,
      email: scope.email,
      code,
    });
  }

  subscribeDevices(connection: Connection, request: DeviceRequest): void {
    if (connection.isEnded) return;
    this.#devices.subscribe(connection, request);
  }

  unsubscribeDevices(connection: Connection, deviceIds: readonly string[] | "all"): void {
    this.#devices.unsubscribe(connection, deviceIds);
  }

  subscribeAlerts(connection: Connection, request: AlertRequest = {}): void {
    if (connection.isEnded) return;
    this.#alerts.subscribe(connection, request);
  }

  unsubscribeAlerts(connection: Connection): void {
    this.#alerts.unsubscribe(connection);
  }

  /** Follows the fleet; following it again starts anew with its counts. */
  subscribeFleet(connection: Connection): void {
    if (connection.isEnded) return;
    const { group, fleet: before } = connection;
    if (before === null) group.followFleet();
    const progress = this.#begin(connection, group.fleet);
    connection.fleet = new FleetSubscription(group, progress);
    this.#options.feeds.change({
      tenantId: group.tenantId,
      fleet: before === null ? 1 : 0,
      first: { devices: [], alerts: false, fleet: progress.isOwed },
    });
  }

  unsubscribeFleet(connection: Connection): void {
    if (connection.fleet === null) return;
    connection.fleet = null;
    connection.group.unfollowFleet();
    this.#options.feeds.change({ tenantId: connection.group.tenantId, fleet: -1 });
  }

  /** A young state is due at once; an old one must not pretend to be live, so the subscription waits for the next read. */
  readonly #begin: Begin = (connection, state) => {
    const { clock, pollIntervalMs } = this.#options;
    if (state !== null && isYoung(state.readAt, { maxAgeMs: pollIntervalMs, clock })) {
      return { seq: 0, isOwed: false };
    }
    connection.owe();
    return { seq: state?.seq ?? 0, isOwed: true };
  };

  /** Closes the connections that could not take anything for too long, and ends those that don't answer a close. */
  #sweep(): void {
    const { clock, log, slowClientMs } = this.#options;
    const { closeCode, sentence } = CLOSINGS.slow_client;
    for (const connection of this.#connections) {
      const { id, scope, socket, isEnded } = connection;
      if (connection.closingMs() >= CLOSE_TIMEOUT_MS) {
        socket.terminate();
        // An engine that can't end it must not let it keep its interest.
        this.disconnect(connection, ABNORMAL_CLOSE);
        continue;
      }
      const stuckMs = connection.stuckMs();
      if (isEnded || stuckMs < slowClientMs) continue;
      log.warning("slow_client", { connection: id, tenant: scope.tenantId, stuck_ms: stuckMs });
      connection.close(closeCode, sentence);
    }
    this.#sweepTimer = this.#connections.size === 0
      ? null
      : clock.setTimeout(() => this.#sweep(), SWEEP_MS);
  }

  #deliver(snapshot: Snapshot): void {
    this.#groups.get(snapshot.tenantId)?.deliver(snapshot, this.#options.clock.monotonicNow());
  }
}
