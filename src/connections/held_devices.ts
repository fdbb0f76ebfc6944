// The devices that one connection follows, those that its client named and those that it follows because it follows all.
// A device is never held twice; interest is counted by whoever puts something in and takes it out.
import type { DeviceSubscription } from "./device_subscription.ts";

export type Subscriptions = ReadonlyMap<string, DeviceSubscription>;

/** Most connections hold a few devices and could hold many: a map is made when something is put in. */
const NO_SUBSCRIPTIONS: Subscriptions = new Map();

export class HeldDevices {
  #named: Map<string, DeviceSubscription> | null = null;
  #implied: Map<string, DeviceSubscription> | null = null;

  get named(): Subscriptions {
    return this.#named ?? NO_SUBSCRIPTIONS;
  }

  /** Those that nobody named. */
  get implied(): Subscriptions {
    return this.#implied ?? NO_SUBSCRIPTIONS;
  }

  /** The subscription that a device's samples go by. */
  of(deviceId: string): DeviceSubscription | undefined {
    return this.#named?.get(deviceId) ?? this.#implied?.get(deviceId);
  }

  /** Puts a named one in place of whatever followed its device before. */
  hold(subscription: DeviceSubscription): void {
    const { deviceId } = subscription.device;
    this.#named ??= new Map();
    this.#named.set(deviceId, subscription);
    this.#implied?.delete(deviceId);
  }

  /** Puts one in that nobody named. */
  imply(subscription: DeviceSubscription): void {
    this.#implied ??= new Map();
    this.#implied.set(subscription.device.deviceId, subscription);
  }

  /** Takes a named one out. */
  drop(deviceId: string): void {
    this.#named?.delete(deviceId);
  }

  dropImplied(deviceId: string): void {
    this.#implied?.delete(deviceId);
  }

  /** Takes out all that were named, and returns them. */
  dropAll(): readonly DeviceSubscription[] {
    const dropped = [...this.named.values()];
    this.#named = null;
    return dropped;
  }

  dropAllImplied(): readonly DeviceSubscription[] {
    const dropped = [...this.implied.values()];
    this.#implied = null;
    return dropped;
  }
}
