// Who is connected and what each follows; keeps interest in step with subscriptions. It decodes no message, decides
// no read, and knows of a feed only the two messages of the seam.
import type { Scope } from "../auth/scope.ts";
import type { Clock, TimerHandle } from "../clock.ts";
import { CLOSINGS } from "../errors.ts";
import type { Feeds } from "../feed/feed_registry.ts";
import type { Snapshot } from "../feed/seam.ts";
import type { Log } from "../observe/log.ts";
import type { Socket } from "../sockets/socket.ts";
import { Connection, type Progress } from "./connection.ts";
import { TenantGroup } from "./tenant_group.ts";

export interface ConnectionManagerOptions {
  readonly feeds: Feeds;
  readonly clock: Clock;
  readonly log: Log;
  /** A state younger than this is sent to a new follower as it is; an older one is read again first. */
  readonly pollIntervalMs: number;
  readonly highWaterBytes: number;
  /** Told of each push that a full socket missed. */
  readonly missed?: () => void;
  /** A socket that has been too full to send for this long is ended. */
  readonly slowClientMs: number;
}

/** How often sockets are looked at for being stuck. */
const SWEEP_MS = 1_000;
/** A peer that did not answer a close by then is ended without an answer. */
const CLOSE_TIMEOUT_MS = 3_000;
/** What a close without a close frame is called (RFC 6455, 7.4.1). */
const ABNORMAL_CLOSE = 1006;

export class ConnectionManager {
  readonly #options: ConnectionManagerOptions;
  readonly #groups = new Map<string, TenantGroup>();
  readonly #connections = new Set<Connection>();
  #lastId = 0;
  /** Runs while anybody is connected. */
  #sweepTimer: TimerHandle | null = null;

  constructor(options: ConnectionManagerOptions) {
    this.#options = options;
    options.feeds.listen((snapshot) => this.#deliver(snapshot));
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  get connections(): Iterable<Connection> {
    return this.#connections.values();
  }

  /** Takes in an open socket and starts its push loop. */
  connect(socket: Socket, scope: Scope): Connection {
    const { feeds, highWaterBytes, log, clock, pollIntervalMs, missed = () => {} } = this.#options;
    const { tenantId } = scope;
    let group = this.#groups.get(tenantId);
    if (group === undefined) this.#groups.set(tenantId, group = new TenantGroup(tenantId));
    const id = `c${++this.#lastId}`;
    const connection = new Connection({
      id,
      scope,
      socket,
      group,
      highWaterBytes,
      maxAgeMs: pollIntervalMs,
      clock,
      missed,
    });
    group.connections.add(connection);
    this.#connections.add(connection);
    this.#sweepTimer ??= clock.setTimeout(() => this.#sweep(), SWEEP_MS);
    feeds.change({ tenantId, connections: 1 });
    log.info("connected", { connection: id, tenant: tenantId, email: scope.email });
    connection.run().catch((error: unknown) => {
      log.error("push_loop_failed", { connection: id, tenant: tenantId, error });
      const { closeCode, sentence } = CLOSINGS.internal;
      connection.close(closeCode, sentence);
    });
    return connection;
  }

  /** Ends a connection's loop and takes back all its interest; later calls do nothing. */
  disconnect(connection: Connection, code: number): void {
    if (!this.#connections.delete(connection)) return;
    if (this.#connections.size === 0 && this.#sweepTimer !== null) {
      this.#options.clock.clearTimeout(this.#sweepTimer);
      this.#sweepTimer = null;
    }
    connection.abort();
    const { group, scope, devices, alerts } = connection;
    group.connections.delete(connection);
    const released = [...devices.values()].map(({ device }) => {
      group.unfollow(device);
      return { deviceId: device.deviceId, latest: -1 };
    });
    if (alerts !== null) group.unfollowAlerts();
    devices.clear();
    connection.alerts = null;
    if (group.connections.size === 0) this.#groups.delete(group.tenantId);
    this.#options.feeds.change({
      tenantId: group.tenantId,
      connections: -1,
      devices: released,
      alerts: alerts === null ? 0 : -1,
    });
    this.#options.log.info("disconnected", {
      connection: connection.id,
      tenant: group.tenantId,
      email: scope.email,
      code,
    });
  }

  /** Follows a device; following it again starts anew with its newest value. */
  subscribeDevice(connection: Connection, deviceId: string): void {
    if (connection.signal.aborted) return;
    const { group } = connection;
    const before = connection.devices.get(deviceId);
    const device = before?.device ?? group.follow(deviceId);
    const progress = this.#begin(connection, device.state);
    connection.devices.set(deviceId, { device, ...progress });
    this.#options.feeds.change({
      tenantId: group.tenantId,
      devices: before === undefined ? [{ deviceId, latest: 1 }] : [],
      first: { devices: progress.isOwed ? [deviceId] : [], alerts: false },
    });
  }

  unsubscribeDevice(connection: Connection, deviceId: string): void {
    const subscription = connection.devices.get(deviceId);
    if (subscription === undefined) return;
    connection.devices.delete(deviceId);
    connection.group.unfollow(subscription.device);
    this.#options.feeds.change({
      tenantId: connection.group.tenantId,
      devices: [{ deviceId, latest: -1 }],
    });
  }

  subscribeAlerts(connection: Connection): void {
    if (connection.signal.aborted) return;
    const { group, alerts: before } = connection;
    if (before === null) group.followAlerts();
    const progress = this.#begin(connection, group.alerts);
    connection.alerts = progress;
    this.#options.feeds.change({
      tenantId: group.tenantId,
      alerts: before === null ? 1 : 0,
      first: { devices: [], alerts: progress.isOwed },
    });
  }

  unsubscribeAlerts(connection: Connection): void {
    if (connection.alerts === null) return;
    connection.alerts = null;
    connection.group.unfollowAlerts();
    this.#options.feeds.change({ tenantId: connection.group.tenantId, alerts: -1 });
  }

  /** A young state is due at once; an old one must not pretend to be live, so the subscription waits for the next read. */
  #begin(
    connection: Connection,
    state: { readonly seq: number; readonly readAt: number } | null,
  ): Progress {
    const { clock, pollIntervalMs } = this.#options;
    if (state !== null && clock.now() - state.readAt < pollIntervalMs) {
      return { seq: 0, isOwed: false };
    }
    connection.owe();
    return { seq: state?.seq ?? 0, isOwed: true };
  }

  /** Closes the connections that could not take anything for too long, and ends those that don't answer a close. */
  #sweep(): void {
    const { clock, log, slowClientMs } = this.#options;
    const { closeCode, sentence } = CLOSINGS.slow_client;
    for (const connection of this.#connections) {
      const { id, scope, socket, signal } = connection;
      if (connection.closingMs() >= CLOSE_TIMEOUT_MS) {
        socket.terminate();
        // An engine that can't end it must not let it keep its interest.
        this.disconnect(connection, ABNORMAL_CLOSE);
        continue;
      }
      const stuckMs = connection.stuckMs();
      if (signal.aborted || stuckMs < slowClientMs) continue;
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
