// How connections follow every device of their tenants: takes devices in as they are met, lets go of those that are gone,
// and finds out whose past is to be sent where that is asked for.
import type { Clock } from "../clock.ts";
import type { Feeds } from "../feed/feed_registry.ts";
import type { DeviceInterest } from "../feed/seam.ts";
import { instantOfMs } from "../protocol/nano_instant.ts";
import { AllSubscription } from "./all_subscription.ts";
import type { CatchUpDeps } from "./catch_up.ts";
import type { Connection } from "./connection.ts";
import type { DeviceFetching } from "./device_fetching.ts";
import { followingOf, interestOf, releasedBy } from "./device_interest.ts";
import type { DeviceStart } from "./device_request.ts";
import type { DeviceOptions, DeviceSubscription } from "./device_subscription.ts";
import { guardHistory } from "./guard_history.ts";
import type { Begin } from "./progress.ts";
import { untilAnswered } from "./until_answered.ts";

export interface AllFollowingOptions {
  readonly feeds: Feeds;
  readonly clock: Clock;
  readonly catchUp: CatchUpDeps;
  readonly fetching: DeviceFetching;
  /** Finds the tenant's devices. */
  readonly listDevices: (tenantId: string, signal: AbortSignal) => Promise<readonly string[]>;
  readonly beginDevice: (
    connection: Connection,
    device: {
      readonly deviceId: string;
      readonly options: DeviceOptions;
      readonly isNamed: boolean;
    },
  ) => DeviceSubscription;
  readonly begin: Begin;
}

/** So many devices are followed at least before it is looked for those that are gone. */
const MIN_PRUNED = 1_000;

export class AllFollowing {
  readonly #options: AllFollowingOptions;
  /** Devices that each connection may meet before it is looked for those that are gone. */
  readonly #pruneAt = new WeakMap<Connection, number>();

  constructor(options: AllFollowingOptions) {
    this.#options = options;
  }

  subscribe(
    connection: Connection,
    { options, start }: { readonly options: DeviceOptions; readonly start: DeviceStart | null },
  ): void {
    const { begin, clock, feeds, fetching } = this.#options;
    const { group, all: before } = connection;
    const replaced = connection.held.dropAllImplied();
    const beganAt = clock.now();
    const all = new AllSubscription({
      options,
      start,
      from: this.#from(start),
      imply: (device) => this.#imply(connection, { ...device, options }),
      isCovered: () => group.allReadAt !== null && group.allReadAt > beganAt,
      fetch: (subscriptions) => {
        if (start === null) return;
        fetching.resume(connection, { subscriptions, start: { ...start, answered: () => {} } });
      },
      parent: connection.signal,
    });
    connection.all = all;
    group.followAll(connection, { mode: options.mode, at: beganAt });
    for (const device of group.devices) {
      if (device.state?.sample != null) connection.discovered(device.deviceId);
    }
    const { allReadAt } = group;
    const progress = begin(connection, allReadAt === null ? null : { seq: 0, readAt: allReadAt });
    const added = followingOf(options, 1);
    const gone = before === null ? { latest: 0, every: 0 } : followingOf(before.options, -1);
    feeds.change({
      tenantId: group.tenantId,
      at: beganAt,
      devices: releasedBy(replaced),
      all: { latest: added.latest + gone.latest, every: added.every + gone.every },
      first: { devices: [], all: progress.isOwed, alerts: false },
    });
    for (const subscription of replaced) subscription.leave(group);
    before?.leave();
    if (start !== null) void this.#resume(connection, { all, start });
  }

  unsubscribe(connection: Connection): void {
    const { all, group } = connection;
    if (all === null) return;
    const { devices } = this.release(connection);
    this.#options.feeds.change({
      tenantId: group.tenantId,
      devices,
      all: followingOf(all.options, -1),
    });
  }

  /** Takes back what came with following all, and returns the interest in single devices that goes with it. */
  release(connection: Connection): { readonly devices: readonly DeviceInterest[] } {
    const { all, group } = connection;
    const released = connection.held.dropAllImplied();
    connection.all = null;
    group.unfollowAll(connection);
    for (const subscription of released) subscription.leave(group);
    all?.leave();
    return { devices: releasedBy(released) };
  }

  #imply(
    connection: Connection,
    device: Parameters<AllFollowingOptions["beginDevice"]>[1],
  ): DeviceSubscription {
    const { held: { implied }, group } = connection;
    if (implied.size >= (this.#pruneAt.get(connection) ?? MIN_PRUNED)) {
      for (const [deviceId, subscription] of implied) {
        if (!subscription.isSpent) continue;
        connection.held.dropImplied(deviceId);
        subscription.leave(group);
      }
      this.#pruneAt.set(connection, Math.max(MIN_PRUNED, 2 * implied.size));
    }
    const subscription = this.#options.beginDevice(connection, device);
    connection.held.imply(subscription);
    return subscription;
  }

  /** Finds out whose past is to be sent, and has it fetched. */
  async #resume(
    connection: Connection,
    { all, start }: { readonly all: AllSubscription; readonly start: DeviceStart },
  ): Promise<void> {
    const { catchUp: { random, log }, clock, fetching, listDevices } = this.#options;
    const { signal } = all;
    const { tenantId } = connection.group;
    await guardHistory(connection, { log, signal: connection.signal }, async () => {
      const listed = await untilAnswered(() => listDevices(tenantId, signal), {
        source: "telemetry",
        failed: () => all.unlisted(),
        clock,
        random,
        log,
        signal,
      });
      if (listed === null) return;
      for (const deviceId of new Set(listed)) connection.discovered(deviceId);
      if (typeof start.after !== "string") this.#name(connection, all, start.after.keys());
      const answered: DeviceStart["answered"] = (resumes) => all.answer(resumes);
      fetching.resume(connection, { subscriptions: all.listed(), start: { ...start, answered } });
    });
  }

  /** A device that was silent for too long to be found among all has a past all the same: it is followed by its name. */
  #name(connection: Connection, all: AllSubscription, deviceIds: Iterable<string>): void {
    const named: DeviceSubscription[] = [];
    for (const deviceId of deviceIds) {
      if (connection.held.of(deviceId) !== undefined) continue;
      named.push(all.meet({ deviceId, isNamed: true }));
    }
    const first = named.filter(({ isOwed }) => isOwed).map(({ device }) => device.deviceId);
    this.#options.feeds.change({
      tenantId: connection.group.tenantId,
      devices: named.map((subscription) => interestOf(subscription, 1)),
      first: { devices: first, alerts: false },
    });
  }

  /** The instant that was asked for; of several the earliest, within the bounds of history. */
  #from(start: DeviceStart | null): string {
    const { catchUp: { historyMs }, clock } = this.#options;
    const now = clock.now();
    if (start === null) return instantOfMs(now);
    const { after } = start;
    const instants = typeof after === "string" ? [after] : [...after.values()];
    const earliest = instants.reduce((a, b) => a < b ? a : b, instants[0] ?? instantOfMs(now));
    const oldest = instantOfMs(now - historyMs);
    return earliest < oldest ? oldest : earliest;
  }
}
