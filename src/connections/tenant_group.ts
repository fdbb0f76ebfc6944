// One tenant's connections on this process and the newest states its feed delivered; every connection of the tenant
// looks at the same states, and each is forgotten with its last follower.
import type {
  AlertState,
  DeviceBatch,
  DeviceState,
  FleetState,
  Snapshot,
  SourceStatus,
} from "../feed/seam.ts";
import type { SourceName } from "../protocol/server_messages.ts";
import { AlertSteps } from "./alert_steps.ts";
import type { Connection } from "./connection.ts";
import type { Delivered } from "./delivered.ts";
import { FollowedDevice } from "./followed_device.ts";
import { HistoryViews } from "./history_views.ts";
import { MessageViews } from "./message_views.ts";
import { TurnQueue } from "./push_turns.ts";

export class TenantGroup {
  readonly tenantId: string;
  readonly connections = new Set<Connection>();
  readonly views = new MessageViews();
  readonly historyViews = new HistoryViews();
  readonly turns = new TurnQueue();
  /** What those need who follow more of the alerts than the core protocol's list. */
  readonly alertSteps = new AlertSteps();
  readonly #devices = new Map<string, FollowedDevice>();
  /** Connections that follow every device, and how. */
  readonly #all = new Map<Connection, "latest" | "every">();
  #allEvery = 0;
  /** When the first of them came, and when the last read of all devices since then began. */
  #allSince = 0;
  #allReadAt: number | null = null;
  readonly #statuses = new Map<SourceName, SourceStatus>();
  #alertFollowers = 0;
  #wholeFollowers = 0;
  #alerts: Delivered<AlertState> | null = null;
  #fleetFollowers = 0;
  #fleet: Delivered<FleetState> | null = null;

  constructor(tenantId: string) {
    this.tenantId = tenantId;
  }

  get alerts(): Delivered<AlertState> | null {
    return this.#alerts;
  }

  get fleet(): Delivered<FleetState> | null {
    return this.#fleet;
  }

  get devices(): Iterable<FollowedDevice> {
    return this.#devices.values();
  }

  /** What the feed said last of the source; undefined while it has said nothing. */
  statusOf(source: SourceName): SourceStatus | undefined {
    return this.#statuses.get(source);
  }

  follow(deviceId: string): FollowedDevice {
    let device = this.#devices.get(deviceId);
    if (device === undefined) {
      device = new FollowedDevice(deviceId);
      this.#devices.set(deviceId, device);
    }
    device.followers++;
    return device;
  }

  unfollow(device: FollowedDevice): void {
    if (--device.followers === 0) this.#devices.delete(device.deviceId);
  }

  /** Takes back that one is sent every sample of the device. */
  unfollowEvery(device: FollowedDevice): void {
    device.unfollowEvery();
    if (device.everyFollowers === 0 && this.#allEvery === 0) device.forgetBatches();
  }

  /** When the last read of all devices began, in milliseconds since the epoch; null while nobody follows all. */
  get allReadAt(): number | null {
    return this.#allReadAt;
  }

  /** Follows all devices, or in another way than before; `at` is in milliseconds since the epoch. */
  followAll(
    connection: Connection,
    { mode, at }: { readonly mode: "latest" | "every"; readonly at: number },
  ): void {
    if (this.#all.size === 0) this.#allSince = at;
    const before = this.#all.get(connection);
    this.#all.set(connection, mode);
    if (mode === "every") this.#allEvery++;
    if (before === "every") this.#unfollowAllEvery();
  }

  unfollowAll(connection: Connection): void {
    const before = this.#all.get(connection);
    this.#all.delete(connection);
    if (before === "every") this.#unfollowAllEvery();
    if (this.#all.size === 0) this.#allReadAt = null;
  }

  /** Follows the alerts: the core protocol's list, or the whole state that more than that is made of. */
  followAlerts(kind: "core" | "whole" = "core"): void {
    this.#alertFollowers++;
    // It may have been read for others.
    if (kind === "whole" && ++this.#wholeFollowers === 1 && this.#alerts !== null) {
      this.alertSteps.take(this.#alerts);
    }
  }

  unfollowAlerts(kind: "core" | "whole" = "core"): void {
    if (--this.#alertFollowers === 0) this.#alerts = null;
    if (kind === "whole" && --this.#wholeFollowers === 0) this.alertSteps.forget();
  }

  followFleet(): void {
    this.#fleetFollowers++;
  }

  unfollowFleet(): void {
    if (--this.#fleetFollowers === 0) this.#fleet = null;
  }

  /** Takes over what a read brought and wakes the connections that it may concern. */
  deliver(snapshot: Snapshot, deliveredAt: number): void {
    for (const state of snapshot.devices) this.#deliverDevice(state, deliveredAt);
    for (const batch of snapshot.batches) this.#deliverBatch(batch);
    this.#noteAllRead(snapshot);
    const { alerts, fleet } = snapshot;
    if (alerts !== null) this.#deliverAlerts(alerts, deliveredAt);
    if (fleet !== null && this.#fleetFollowers > 0 && (this.#fleet?.seq ?? 0) < fleet.seq) {
      this.#fleet = { ...fleet, deliveredAt };
    }
    for (const status of snapshot.statuses) {
      this.#statuses.set(status.source, status);
      for (const connection of this.connections) connection.tell(status);
    }
    for (const connection of this.connections) {
      if (connection.isOwed) connection.wake(deliveredAt);
      else if (snapshot.cause === "tick") connection.wakeInTurn(deliveredAt);
    }
  }

  #deliverDevice(state: DeviceState, deliveredAt: number): void {
    let device = this.#devices.get(state.deviceId);
    const isNew = state.sample !== null && (device === undefined || device.state?.sample == null);
    if (isNew && this.#all.size > 0) {
      // Held for as long as it is offered: nobody may take it, as all may follow it by name.
      device = this.follow(state.deviceId);
      for (const connection of this.#all.keys()) connection.discovered(state.deviceId);
      this.unfollow(device);
    }
    if (device !== undefined && (device.state?.seq ?? 0) < state.seq) {
      const sampledAt = Date.parse(state.sample?.timestamp ?? "");
      device.state = { ...state, deliveredAt, sampledAt };
    }
  }

  #deliverBatch(batch: DeviceBatch): void {
    const device = this.#devices.get(batch.deviceId);
    // Of reads for those who are gone.
    if (device === undefined || (device.everyFollowers === 0 && this.#allEvery === 0)) return;
    device.deliver(batch);
  }

  #noteAllRead({ allReadAt }: Snapshot): void {
    if (this.#all.size === 0 || allReadAt === null) return;
    if (allReadAt >= this.#allSince) this.#allReadAt = allReadAt;
  }

  #unfollowAllEvery(): void {
    if (--this.#allEvery > 0) return;
    for (const device of this.#devices.values()) {
      if (device.everyFollowers === 0) device.forgetBatches();
    }
  }

  #deliverAlerts(alerts: AlertState, deliveredAt: number): void {
    const { seq = 0, whole = null } = this.#alerts ?? {};
    // The same read once more, for who needs more of it than those before did.
    const isMore = seq === alerts.seq && whole === null && alerts.whole !== null;
    if (this.#alertFollowers === 0 || (seq >= alerts.seq && !isMore)) return;
    this.#alerts = { ...alerts, deliveredAt };
    if (this.#wholeFollowers > 0) this.alertSteps.take(alerts);
  }
}
