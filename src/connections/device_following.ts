// What connections follow of devices: keeps the interest of the feed, the tenant's group and each connection's
// subscriptions in step. It decodes nothing and fetches nothing itself.
import type { Clock } from "../clock.ts";
import type { Feeds } from "../feed/feed_registry.ts";
import type { DeviceInterest, Following } from "../feed/seam.ts";
import type { Log } from "../observe/log.ts";
import { AllFollowing, type AllFollowingOptions } from "./all_following.ts";
import type { CatchUpDeps } from "./catch_up.ts";
import type { Connection } from "./connection.ts";
import { DeviceFetching } from "./device_fetching.ts";
import { followingOf, interestOf, releasedBy } from "./device_interest.ts";
import type { DeviceRequest } from "./device_request.ts";
import { CORE_OPTIONS, DeviceSubscription } from "./device_subscription.ts";
import { EveryFollow } from "./every_follow.ts";
import type { Begin } from "./progress.ts";

export interface DeviceFollowingOptions {
  readonly feeds: Feeds;
  readonly clock: Clock;
  readonly log: Log;
  readonly catchUp: CatchUpDeps;
  /** Finds the tenant's devices. */
  readonly listDevices: AllFollowingOptions["listDevices"];
  readonly begin: Begin;
}

export class DeviceFollowing {
  readonly #options: DeviceFollowingOptions;
  readonly #fetching: DeviceFetching;
  readonly #all: AllFollowing;

  constructor(options: DeviceFollowingOptions) {
    this.#options = options;
    this.#fetching = new DeviceFetching(options);
    const beginDevice: AllFollowingOptions["beginDevice"] = (connection, device) =>
      this.#begin(connection, device);
    this.#all = new AllFollowing({ ...options, fetching: this.#fetching, beginDevice });
  }

  /** Follows devices; following one again starts anew, in the way that is asked for now. */
  subscribe(connection: Connection, request: DeviceRequest): void {
    const { deviceIds, options = CORE_OPTIONS, start = null } = request;
    if (deviceIds === "all") {
      this.#all.subscribe(connection, { options, start });
      return;
    }
    const { group } = connection;
    const subscriptions: DeviceSubscription[] = [];
    const replaced: DeviceSubscription[] = [];
    for (const deviceId of deviceIds) {
      const before = connection.held.of(deviceId);
      if (before !== undefined) replaced.push(before);
      const subscription = this.#begin(connection, { deviceId, options, isNamed: true });
      connection.held.hold(subscription);
      subscriptions.push(subscription);
    }
    const first = subscriptions.filter(({ isOwed }) => isOwed).map(({ device }) => device.deviceId);
    const added = subscriptions.map((subscription) => interestOf(subscription, 1));
    this.#options.feeds.change({
      tenantId: group.tenantId,
      at: this.#options.clock.now(),
      devices: [...added, ...releasedBy(replaced)],
      first: { devices: first, alerts: false },
    });
    for (const subscription of replaced) subscription.leave(group);
    if (start !== null) this.#fetching.resume(connection, { subscriptions, start });
  }

  unsubscribe(connection: Connection, deviceIds: readonly string[] | "all"): void {
    if (deviceIds === "all") {
      this.#all.unsubscribe(connection);
      return;
    }
    const { all, devices, group } = connection;
    const ended: DeviceSubscription[] = [];
    for (const deviceId of deviceIds) {
      const subscription = devices.get(deviceId);
      if (subscription === undefined) continue;
      connection.held.drop(deviceId);
      ended.push(subscription);
      // Who still follows all devices follows this one, as all.
      if (subscription.device.state?.sample != null) all?.takeBack(deviceId);
    }
    if (ended.length === 0) return;
    this.#options.feeds.change({ tenantId: group.tenantId, devices: releasedBy(ended) });
    for (const subscription of ended) subscription.leave(group);
  }

  /** Takes back everything and returns the interest that goes with it. */
  release(
    connection: Connection,
  ): { readonly devices: readonly DeviceInterest[]; readonly all?: Following } {
    const { all, group } = connection;
    const ended = connection.held.dropAll();
    for (const subscription of ended) subscription.leave(group);
    const released = releasedBy(ended);
    if (all === null) return { devices: released };
    const { devices: implied } = this.#all.release(connection);
    return { devices: [...released, ...implied], all: followingOf(all.options, -1) };
  }

  /** Fetches the samples that subscriptions missed; until then nothing of their devices is pushed. */
  recover(connection: Connection, subscriptions: readonly DeviceSubscription[]): void {
    this.#fetching.recover(connection, subscriptions);
  }

  #begin(
    connection: Connection,
    { deviceId, options, isNamed }: Parameters<AllFollowingOptions["beginDevice"]>[1],
  ): DeviceSubscription {
    const { group } = connection;
    const device = group.follow(deviceId);
    const isEvery = options.mode === "every";
    if (isEvery) device.followEvery();
    return new DeviceSubscription({
      device,
      options,
      isNamed,
      progress: this.#options.begin(connection, device.state),
      follow: isEvery ? new EveryFollow(device, this.#options.clock.now()) : null,
    });
  }
}
