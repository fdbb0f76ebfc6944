// One tenant's connections on this process and the newest states its feed delivered; every connection of the tenant
// looks at the same states, and each is forgotten with its last follower.
import { type RecentBatches, withBatch } from "../feed/recent_batches.ts";
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
import { HistoryViews } from "./history_views.ts";
import { MessageViews } from "./message_views.ts";
import { TurnQueue } from "./push_turns.ts";

/** A state and when it was delivered, on the monotonic clock: what a full socket missed must not be sent when it is old. */
export type Delivered<T> = T & { readonly deliveredAt: number };

/** What every connection asks of a state is made of its timestamp once. */
export interface DeliveredDevice extends Delivered<DeviceState> {
  /** When its sample was taken, in milliseconds since the epoch; NaN where there is none. */
  readonly sampledAt: number;
}

/** Batches of samples that are kept for who could not take them at once; others read them again. */
const KEPT_BATCHES = 4;

/** A device that connections of this tenant follow; subscriptions hold it, so that a push looks nothing up. */
export class FollowedDevice {
  readonly deviceId: string;
  followers = 0;
  state: DeliveredDevice | null = null;
  #everyFollowers = 0;
  #batches: readonly DeviceBatch[] = [];
  #recent: RecentBatches = [];
  #number = 0;
  /** The number that the feed gave the newest batch; null before the first. */
  #feedNumber: number | null = null;
  #floor: string | null = null;
  #first: DeviceBatch | null = null;

  constructor(deviceId: string) {
    this.deviceId = deviceId;
  }

  /** How many are sent every sample of it. */
  get everyFollowers(): number {
    return this.#everyFollowers;
  }

  /** The newest ones, the newest last; numbered here, as a feed begins anew where it has lost its place. */
  get batches(): readonly DeviceBatch[] {
    return this.#batches;
  }

  /** What who begins to follow now has not missed, and could be read once more. */
  get recent(): RecentBatches {
    return this.#recent;
  }

  /** Number of the newest batch; 0 before the first. */
  get batchNumber(): number {
    return this.#number;
  }

  /** Instant with nine digits; no later batch holds a sample as old as it. Null before the first. */
  get floor(): string | null {
    return this.#floor;
  }

  /** The first batch, without its samples: where who came before it begins. Null before it. */
  get first(): DeviceBatch | null {
    return this.#first;
  }

  followEvery(): void {
    this.#everyFollowers++;
  }

  unfollowEvery(): void {
    if (--this.#everyFollowers === 0) this.#batches = [];
  }

  /** Nobody is sent every sample any more, not even among all: the feed numbers anew for whoever comes next. */
  forgetBatches(): void {
    this.#batches = [];
    this.#recent = [];
    this.#number = 0;
    this.#feedNumber = null;
    this.#floor = null;
    this.#first = null;
  }

  /** Takes note of a batch, also while only others among all want it: who joins goes on from here. */
  deliver({ number, floor, ...batch }: DeviceBatch): void {
    const isNext = this.#feedNumber === null || number === this.#feedNumber + 1;
    // A number is left out where some are missing: who needs them finds them gone.
    this.#number += isNext ? 1 : 2;
    if (!isNext) this.#batches = [];
    this.#feedNumber = number;
    this.#floor = floor;
    const numbered = { ...batch, number: this.#number, floor };
    this.#first ??= { ...numbered, samples: [] };
    this.#recent = withBatch(this.#recent, numbered);
    if (this.#everyFollowers === 0) return;
    this.#batches = [...this.#batches.slice(1 - KEPT_BATCHES), numbered];
  }
}

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
