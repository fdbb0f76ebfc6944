// Counts what one tenant's connections follow; a feed reads what is counted here and nothing else.
import type { DeviceInterest, Following, InterestChange } from "./seam.ts";

type Counts = Required<Following>;

const NOBODY: Counts = { latest: 0, every: 0 };
const NO_DEVICES: readonly DeviceInterest[] = [];

export class Interest {
  #connections = 0;
  #alerts = 0;
  #alertChanges = 0;
  #fleet = 0;
  #all = NOBODY;
  readonly #devices = new Map<string, Counts>();

  get connections(): number {
    return this.#connections;
  }

  /** The devices that at least one connection follows by name. */
  get deviceIds(): readonly string[] {
    return [...this.#devices.keys()];
  }

  get deviceCount(): number {
    return this.#devices.size;
  }

  /** Whether anybody follows the device by name. */
  names(deviceId: string): boolean {
    return this.#devices.has(deviceId);
  }

  /** Whether anybody follows the device, by name or among all. */
  follows(deviceId: string): boolean {
    return this.followsAll || this.names(deviceId);
  }

  /** Whether anybody is sent every sample of the device. */
  followsEvery(deviceId: string): boolean {
    return this.followsAllEvery || this.everyFollowersOf(deviceId) > 0;
  }

  /** How many follow the device by name, its newest sample or every one. */
  followersOf(deviceId: string): number {
    const { latest, every } = this.#devices.get(deviceId) ?? NOBODY;
    return latest + every;
  }

  everyFollowersOf(deviceId: string): number {
    return this.#devices.get(deviceId)?.every ?? 0;
  }

  /** Those who follow every device of the tenant. */
  get all(): Counts {
    return this.#all;
  }

  get followsAll(): boolean {
    return this.#all.latest > 0 || this.#all.every > 0;
  }

  get followsAllEvery(): boolean {
    return this.#all.every > 0;
  }

  /** Whether a read of the named devices alone would not be enough. */
  get needsAllDevices(): boolean {
    return this.followsAll || this.followsFleet;
  }

  get alertFollowers(): number {
    return this.#alerts;
  }

  get alertChangeFollowers(): number {
    return this.#alertChanges;
  }

  get fleetFollowers(): number {
    return this.#fleet;
  }

  get followsFleet(): boolean {
    return this.#fleet > 0;
  }

  /** Whether anybody needs a read of the alerts. */
  get needsAlerts(): boolean {
    return this.#alerts > 0 || this.needsWholeAlerts;
  }

  /** Whether the core protocol's list of alerts is not enough for somebody. */
  get needsWholeAlerts(): boolean {
    return this.#alertChanges > 0 || this.followsFleet;
  }

  /** Adds a change. A count below zero is a fault of the caller and throws before anything is changed. */
  apply(change: InterestChange): void {
    const connections = this.#connections + (change.connections ?? 0);
    const alerts = this.#alerts + (change.alerts ?? 0);
    const alertChanges = this.#alertChanges + (change.alertChanges ?? 0);
    const fleet = this.#fleet + (change.fleet ?? 0);
    const all = change.all === undefined ? this.#all : sum(this.#all, change.all);
    let least = Math.min(connections, alerts, alertChanges, fleet, all.latest, all.every);
    const devices = new Map<string, Counts>();
    for (const device of change.devices ?? NO_DEVICES) {
      const { deviceId } = device;
      devices.set(
        deviceId,
        sum(devices.get(deviceId) ?? this.#devices.get(deviceId) ?? NOBODY, device),
      );
    }
    for (const { latest, every } of devices.values()) least = Math.min(least, latest, every);
    if (least < 0) {
      throw new RangeError(`Interest of tenant "${change.tenantId}" would fall below zero`);
    }
    this.#connections = connections;
    this.#alerts = alerts;
    this.#alertChanges = alertChanges;
    this.#fleet = fleet;
    this.#all = all;
    for (const [deviceId, { latest, every }] of devices) {
      if (latest + every === 0) this.#devices.delete(deviceId);
      else this.#devices.set(deviceId, { latest, every });
    }
  }
}

function sum(before: Counts, { latest, every = 0 }: Following): Counts {
  return { latest: before.latest + latest, every: before.every + every };
}
