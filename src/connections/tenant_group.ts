// One tenant's connections on this process and the newest states its feed delivered; every connection of the tenant
// looks at the same states, and each is forgotten with its last follower.
import type { AlertState, DeviceState, Snapshot } from "../feed/seam.ts";
import type { Connection } from "./connection.ts";

/** A device that connections of this tenant follow; subscriptions hold it, so that a push looks nothing up. */
export interface FollowedDevice {
  readonly deviceId: string;
  followers: number;
  state: Delivered<DeviceState> | null;
}

/** A state and when it was delivered, on the monotonic clock: what a full socket missed must not be sent when it is old. */
export type Delivered<T> = T & { readonly deliveredAt: number };

export class TenantGroup {
  readonly tenantId: string;
  readonly connections = new Set<Connection>();
  readonly #devices = new Map<string, FollowedDevice>();
  #alertFollowers = 0;
  #alerts: Delivered<AlertState> | null = null;

  constructor(tenantId: string) {
    this.tenantId = tenantId;
  }

  get alerts(): Delivered<AlertState> | null {
    return this.#alerts;
  }

  follow(deviceId: string): FollowedDevice {
    let device = this.#devices.get(deviceId);
    if (device === undefined) {
      device = { deviceId, followers: 0, state: null };
      this.#devices.set(deviceId, device);
    }
    device.followers++;
    return device;
  }

  unfollow(device: FollowedDevice): void {
    if (--device.followers === 0) this.#devices.delete(device.deviceId);
  }

  followAlerts(): void {
    this.#alertFollowers++;
  }

  unfollowAlerts(): void {
    if (--this.#alertFollowers === 0) this.#alerts = null;
  }

  /** Takes over what a read brought and wakes the loops that it may concern. */
  deliver(snapshot: Snapshot, deliveredAt: number): void {
    for (const state of snapshot.devices) {
      const device = this.#devices.get(state.deviceId);
      if (device !== undefined && (device.state?.seq ?? 0) < state.seq) {
        device.state = { ...state, deliveredAt };
      }
    }
    const { alerts } = snapshot;
    if (alerts !== null && this.#alertFollowers > 0 && (this.#alerts?.seq ?? 0) < alerts.seq) {
      this.#alerts = { ...alerts, deliveredAt };
    }
    for (const connection of this.connections) {
      if (snapshot.cause === "tick" || connection.isOwed) connection.wake();
    }
  }
}
