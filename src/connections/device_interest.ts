// What a subscription to devices counts for in the interest of a feed. Pure.
import type { DeviceInterest, Following } from "../feed/seam.ts";
import type { DeviceOptions, DeviceSubscription } from "./device_subscription.ts";

/** So many more, or fewer, that follow in this way. */
export function followingOf({ mode }: DeviceOptions, count: 1 | -1): Required<Following> {
  return mode === "every" ? { latest: 0, every: count } : { latest: count, every: 0 };
}

export function interestOf(
  { device: { deviceId }, options }: DeviceSubscription,
  count: 1 | -1,
): DeviceInterest {
  return { deviceId, ...followingOf(options, count) };
}

/** What goes with subscriptions that end; those that are counted among all go with that. */
export function releasedBy(subscriptions: Iterable<DeviceSubscription>): readonly DeviceInterest[] {
  const released: DeviceInterest[] = [];
  for (const subscription of subscriptions) {
    if (subscription.isNamed) released.push(interestOf(subscription, -1));
  }
  return released;
}
