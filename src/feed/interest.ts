// Counts what one tenant's connections follow; a feed reads what is counted here and nothing else.
import type { InterestChange } from "./seam.ts";

export class Interest {
  #connections = 0;
  #alerts = 0;
  readonly #devices = new Map<string, number>();

  get connections(): number {
    return this.#connections;
  }

  /** The devices that at least one connection follows. */
  get deviceIds(): readonly string[] {
    return [...this.#devices.keys()];
  }

  get deviceCount(): number {
    return this.#devices.size;
  }

  follows(deviceId: string): boolean {
    return this.#devices.has(deviceId);
  }

  followersOf(deviceId: string): number {
    return this.#devices.get(deviceId) ?? 0;
  }

  get followsAlerts(): boolean {
    return this.#alerts > 0;
  }

  get alertFollowers(): number {
    return this.#alerts;
  }

  /** Adds a change. A count below zero is a fault of the caller and throws before anything is changed. */
  apply(change: InterestChange): void {
    const connections = this.#connections + (change.connections ?? 0);
    const alerts = this.#alerts + (change.alerts ?? 0);
    const devices = new Map<string, number>();
    for (const { deviceId, latest } of change.devices ?? []) {
      devices.set(deviceId, (devices.get(deviceId) ?? this.followersOf(deviceId)) + latest);
    }
    if (connections < 0 || alerts < 0 || devices.values().some((count) => count < 0)) {
      throw new RangeError(`Interest of tenant "${change.tenantId}" would fall below zero`);
    }
    this.#connections = connections;
    this.#alerts = alerts;
    for (const [deviceId, count] of devices) {
      if (count === 0) this.#devices.delete(deviceId);
      else this.#devices.set(deviceId, count);
    }
  }
}
