// Lets several workers follow the same feeds: interest is counted for each and summed, snapshots go to those that follow
// something of them, and a worker that comes late is given what the others have. It reads nothing and decides no tick.
import { type Clock, isYoung } from "../clock.ts";
import { Interest } from "../feed/interest.ts";
import type { FeedRegistry } from "../feed/feed_registry.ts";
import { beginningAt, type RecentBatches, withBatch } from "../feed/recent_batches.ts";
import type {
  AlertState,
  DeviceState,
  FleetState,
  InterestChange,
  Snapshot,
  SourceStatus,
} from "../feed/seam.ts";
import { SnapshotPacker } from "./snapshot_packer.ts";
import type { SnapshotParcel } from "./snapshot_parcel.ts";

export interface SharedFeedsOptions {
  readonly feeds: Pick<FeedRegistry, "change" | "listen" | "interestOf" | "statusesOf">;
  /** A state younger than this is given to a worker that asks for a first value; an older one is read again. */
  readonly pollIntervalMs: number;
  readonly clock: Clock;
}

type Deliver = (parcel: SnapshotParcel) => void;

/** What one worker follows of one tenant. */
interface Follower {
  readonly interest: Interest;
  readonly packer: SnapshotPacker;
  readonly deliver: Deliver;
  /** When its interest in all devices was counted, in milliseconds since the epoch. */
  allSince: number;
}

/** What was delivered last of one tenant; no more than its feed holds. */
interface Tenant {
  readonly followers: Map<Member, Follower>;
  readonly devices: Map<string, DeviceState>;
  /** Of each device whose every sample is followed. */
  readonly batches: Map<string, RecentBatches>;
  alerts: AlertState | null;
  fleet: FleetState | null;
  /** When the last read of all devices began, in milliseconds since the epoch; null while nobody follows all. */
  allReadAt: number | null;
}

/** One worker's part in all feeds. */
export interface Member {
  /** Counts a change of what its connections follow; throws what the feed throws. */
  change(change: InterestChange): void;
  /** Takes back all that it follows. */
  leave(): void;
}

export class SharedFeeds {
  readonly #options: SharedFeedsOptions;
  readonly #tenants = new Map<string, Tenant>();

  constructor(options: SharedFeedsOptions) {
    this.#options = options;
    options.feeds.listen((snapshot) => this.#spread(snapshot));
  }

  join(deliver: Deliver): Member {
    const member: Member = {
      change: (change) => this.#change(member, { change, deliver }),
      leave: () => this.#leave(member),
    };
    return member;
  }

  #change(
    member: Member,
    { change, deliver }: { readonly change: InterestChange; readonly deliver: Deliver },
  ): void {
    const { feeds } = this.#options;
    const { tenantId } = change;
    const tenant = this.#tenants.get(tenantId) ?? emptyTenant();
    const follower = tenant.followers.get(member) ?? newFollower(deliver);
    const { interest } = follower;
    const before = {
      isConnected: interest.connections > 0,
      followsAll: interest.followsAll,
      followsAllEvery: interest.followsAllEvery,
      every: new Set(
        (change.all === undefined
          ? change.devices?.map(({ deviceId }) => deviceId) ?? []
          : [...tenant.batches.keys()]).filter((id) => interest.followsEvery(id)),
      ),
      wasRunning: (feeds.interestOf(tenantId)?.connections ?? 0) > 0,
    };
    interest.apply(change);
    this.#tenants.set(tenantId, tenant);
    tenant.followers.set(member, follower);
    follower.packer.note(change);
    if (!before.followsAll && interest.followsAll) follower.allSince = this.#options.clock.now();
    const known = this.#known(tenant, { change, interest, before });
    feeds.change({ ...change, ...known.change });
    this.#forgetUnfollowed(tenant, change);
    if (interest.connections === 0) tenant.followers.delete(member);
    if (tenant.followers.size === 0) this.#tenants.delete(tenantId);
    const parcel = follower.packer.pack(known.snapshot);
    if (parcel !== null) deliver(parcel);
  }

  /** What the others have of what is asked for, and what of the change is left to be read. */
  #known(
    tenant: Tenant,
    { change, interest, before }: {
      readonly change: InterestChange;
      readonly interest: Interest;
      readonly before: {
        readonly isConnected: boolean;
        readonly followsAll: boolean;
        readonly followsAllEvery: boolean;
        readonly every: ReadonlySet<string>;
        readonly wasRunning: boolean;
      };
    },
  ): { readonly snapshot: Snapshot; readonly change: Pick<InterestChange, "first"> } {
    const { clock, pollIntervalMs, feeds } = this.#options;
    const { tenantId, first } = change;
    const wasJustRead = (readAt: number) => isYoung(readAt, { maxAgeMs: pollIntervalMs, clock });
    const youngOf = (deviceId: string) => {
      const state = tenant.devices.get(deviceId);
      return state !== undefined && wasJustRead(state.readAt) ? state : null;
    };
    const isAllNew = !before.followsAll && interest.followsAll;
    const isAllEveryNew = !before.followsAllEvery && interest.followsAllEvery;
    const asked = first?.devices ?? [];
    // What was read long ago is no value: only who is sent every sample needs it, to know whose the batches are.
    const devices = isAllNew
      ? tenant.devices.values().filter((state) =>
        wasJustRead(state.readAt) || (isAllEveryNew && tenant.batches.has(state.deviceId))
      ).toArray()
      : asked.map(youngOf).filter((state) => state !== null);
    const everyAsked = isAllEveryNew
      ? [...tenant.batches.keys()]
      : (change.devices ?? []).map(({ deviceId }) => deviceId);
    // Who has followed one of them has its batches: the newest, told once more, would look like a gap.
    const begun = everyAsked.filter((id) => !before.every.has(id))
      .map((deviceId) => beginningAt(tenant.batches.get(deviceId) ?? []))
      .filter((batch) => batch !== null);
    const isEnough = tenant.alerts !== null && wasJustRead(tenant.alerts.readAt) &&
      (tenant.alerts.whole !== null || !interest.needsWholeAlerts);
    const alerts = first?.alerts === true && isEnough ? tenant.alerts : null;
    const isFleetYoung = tenant.fleet !== null && wasJustRead(tenant.fleet.readAt);
    const fleet = first?.fleet === true && isFleetYoung ? tenant.fleet : null;
    const isAllYoung = tenant.allReadAt !== null && wasJustRead(tenant.allReadAt);
    const statuses = before.wasRunning && !before.isConnected ? feeds.statusesOf(tenantId) : null;
    return {
      snapshot: {
        tenantId,
        cause: "first",
        devices,
        batches: begun,
        alerts,
        fleet,
        allReadAt: null,
        statuses: Object.values(statuses ?? {}).filter(isDegraded),
      },
      change: first === undefined ? {} : {
        first: {
          ...first,
          devices: asked.filter((id) => youngOf(id) === null),
          all: first.all === true && !isAllYoung,
          alerts: first.alerts && alerts === null,
          fleet: first.fleet === true && fleet === null,
        },
      },
    };
  }

  #leave(member: Member): void {
    for (const [tenantId, { followers }] of this.#tenants) {
      const follower = followers.get(member);
      if (follower !== undefined) member.change(withdrawalOf(tenantId, follower.interest));
    }
  }

  #spread(snapshot: Snapshot): void {
    const tenant = this.#tenants.get(snapshot.tenantId);
    if (tenant === undefined) return;
    const counted = this.#options.feeds.interestOf(snapshot.tenantId);
    for (const state of snapshot.devices) {
      // Left while what was read of it waited to be told: nobody else would forget it.
      if (counted?.follows(state.deviceId) !== true) continue;
      const held = tenant.devices.get(state.deviceId)?.seq ?? 0;
      if (held >= state.seq) continue;
      // One that is gone is told once to who follows all; there may be ever more of them.
      if (state.sample !== null || counted.names(state.deviceId)) {
        tenant.devices.set(state.deviceId, state);
      } else tenant.devices.delete(state.deviceId);
    }
    for (const batch of snapshot.batches) {
      if (counted?.followsEvery(batch.deviceId) !== true) continue;
      const recent = tenant.batches.get(batch.deviceId) ?? [];
      tenant.batches.set(batch.deviceId, withBatch(recent, batch));
    }
    const { alerts, allReadAt, fleet } = snapshot;
    if (
      alerts !== null && counted?.needsAlerts === true && (tenant.alerts?.seq ?? 0) < alerts.seq
    ) tenant.alerts = alerts;
    if (fleet !== null && counted?.followsFleet === true) tenant.fleet = fleet;
    if (allReadAt !== null && counted?.followsAll === true) tenant.allReadAt = allReadAt;
    for (const { interest, packer, deliver, allSince } of tenant.followers.values()) {
      // A read that began before its interest was counted need not say all that it found.
      const isBefore = interest.followsAll && (snapshot.allReadAt ?? Infinity) <= allSince;
      const parcel = packer.pack(isBefore ? { ...snapshot, allReadAt: null } : snapshot);
      if (parcel !== null) deliver(parcel);
    }
  }

  #forgetUnfollowed(
    tenant: Tenant,
    { tenantId, devices = [], all, ...change }: InterestChange,
  ): void {
    const counted = this.#options.feeds.interestOf(tenantId);
    const changed = all === undefined
      ? devices.map(({ deviceId }) => deviceId)
      : new Set([...tenant.devices.keys(), ...tenant.batches.keys()]);
    for (const deviceId of changed) {
      if (counted?.follows(deviceId) !== true) tenant.devices.delete(deviceId);
      if (counted?.followsEvery(deviceId) !== true) tenant.batches.delete(deviceId);
    }
    const isAboutAlerts = change.alerts !== undefined || change.alertChanges !== undefined;
    if (isAboutAlerts && counted?.needsAlerts !== true) tenant.alerts = null;
    if (counted?.followsFleet !== true) tenant.fleet = null;
    if (counted?.followsAll !== true) tenant.allReadAt = null;
  }
}

function emptyTenant(): Tenant {
  return {
    followers: new Map(),
    devices: new Map(),
    batches: new Map(),
    alerts: null,
    fleet: null,
    allReadAt: null,
  };
}

function newFollower(deliver: Deliver): Follower {
  const interest = new Interest();
  return { interest, packer: new SnapshotPacker(interest), deliver, allSince: 0 };
}

/** The change that takes everything back. */
function withdrawalOf(tenantId: string, interest: Interest): InterestChange {
  return {
    tenantId,
    connections: -interest.connections,
    devices: interest.deviceIds.map((deviceId) => {
      const every = interest.everyFollowersOf(deviceId);
      return { deviceId, latest: every - interest.followersOf(deviceId), every: -every };
    }),
    all: { latest: -interest.all.latest, every: -interest.all.every },
    alerts: -interest.alertFollowers,
    alertChanges: -interest.alertChangeFollowers,
    fleet: -interest.fleetFollowers,
  };
}

function isDegraded(status: SourceStatus | null): status is SourceStatus {
  return status?.state === "degraded";
}
