// Makes snapshots of one tenant whole again from what the other thread sent: what did not change is what came before, its
// frame included. What it does not remember, as nobody followed it, it leaves out.
import type { Interest } from "../feed/interest.ts";
import type {
  AlertState,
  DeviceInterest,
  DeviceState,
  FleetState,
  InterestChange,
  Snapshot,
  WholeAlerts,
} from "../feed/seam.ts";
import { type Frame, frameOf } from "../protocol/frame.ts";
import type { Alert, Sample } from "../protocol/server_messages.ts";
import type { AlertParcel, DeviceParcel, FleetParcel, SnapshotParcel } from "./snapshot_parcel.ts";

interface KeptDevice {
  readonly version: number;
  readonly sample: Sample | null;
  readonly frame: Frame | null;
}

interface KeptAlerts {
  readonly version: number;
  readonly core: readonly Alert[];
  readonly frame: Frame;
  readonly lists: Pick<WholeAlerts, "open" | "total"> | null;
}

export class SnapshotUnpacker {
  readonly #interest: Interest;
  readonly #kept = new Map<string, KeptDevice>();
  #keptAlerts: KeptAlerts | null = null;
  /**
   * The numbers of the changes with which every sample of a device began to be followed here, by its name or among all,
   * and has been since. One that is only followed among all has none, unless it was followed before.
   */
  readonly #everyBegan = new Map<string, number>();
  #allEveryBegan: number | null = null;
  /** The same of the fleet. */
  #fleetBegan: number | null = null;

  constructor(interest: Interest) {
    this.#interest = interest;
  }

  /** Notes a change that has been counted: what begins with it, and what nobody here follows any more. */
  note({ devices = [], all, number = 0 }: InterestChange): void {
    this.#noteEvery(devices, number);
    if (!this.#interest.followsFleet) this.#fleetBegan = null;
    else this.#fleetBegan ??= number;
    const changed = all === undefined ? devices.map(({ deviceId }) => deviceId) : this.#kept.keys();
    for (const deviceId of changed) {
      if (!this.#interest.follows(deviceId)) this.#kept.delete(deviceId);
    }
    if (!this.#interest.needsAlerts) this.#keptAlerts = null;
  }

  unpack(
    { tenantId, cause, heard, devices, batches, alerts, fleet, allReadAt, statuses }:
      SnapshotParcel,
  ): Snapshot {
    // Its counts would be told again when the read comes that who follows it now has asked for.
    const isOld = (this.#fleetBegan ?? Infinity) > heard;
    return {
      tenantId,
      cause,
      devices: devices.map((parcel) => this.#unpackDevice(parcel)).filter((state) =>
        state !== null
      ),
      batches: batches.filter(({ deviceId }) => this.#began(deviceId) <= heard).map((
        { samples, ...batch },
      ) => ({
        ...batch,
        samples: samples.map(({ sample, readAt }) => ({
          sample,
          readAt,
          frame: telemetryFrame(batch.deviceId, sample),
        })),
      })),
      alerts: alerts === null ? null : this.#unpackAlerts(alerts),
      fleet: fleet === null || isOld ? null : unpackFleet(fleet),
      allReadAt,
      statuses,
    };
  }

  /** Who goes on with a device in another way is told no beginning again, and must not wait for one. */
  #noteEvery(devices: readonly DeviceInterest[], number: number): void {
    const { followsAllEvery } = this.#interest;
    if (followsAllEvery) this.#allEveryBegan ??= number;
    for (const { deviceId } of devices) {
      const began = Math.min(this.#began(deviceId), number);
      const isNamed = this.#interest.everyFollowersOf(deviceId) > 0;
      if (isNamed || began < (this.#allEveryBegan ?? 0)) this.#everyBegan.set(deviceId, began);
      else this.#everyBegan.delete(deviceId);
    }
    if (followsAllEvery || this.#allEveryBegan === null) return;
    for (const deviceId of this.#everyBegan.keys()) {
      const isNamed = this.#interest.everyFollowersOf(deviceId) > 0;
      if (isNamed) this.#everyBegan.set(deviceId, this.#began(deviceId));
      else this.#everyBegan.delete(deviceId);
    }
    this.#allEveryBegan = null;
  }

  /** Where it is later than what was heard there, a batch is one of those for who followed the device before. */
  #began(deviceId: string): number {
    return Math.min(this.#everyBegan.get(deviceId) ?? Infinity, this.#allEveryBegan ?? Infinity);
  }

  #unpackDevice(parcel: DeviceParcel): DeviceState | null {
    const { deviceId, seq, readAt, version, isStale, sample } = parcel;
    if (!this.#interest.follows(deviceId)) return null;
    let kept = this.#kept.get(deviceId);
    if (sample !== undefined) {
      const frame = sample === null ? null : telemetryFrame(deviceId, sample);
      kept = { version, sample, frame };
      if (sample !== null || this.#interest.names(deviceId)) this.#kept.set(deviceId, kept);
      else this.#kept.delete(deviceId);
    }
    if (kept === undefined || kept.version !== version) return null;
    return { deviceId, seq, readAt, version, isStale, sample: kept.sample, frame: kept.frame };
  }

  #unpackAlerts({ seq, readAt, version, core, whole }: AlertParcel): AlertState | null {
    if (!this.#interest.needsAlerts) return null;
    const kept = core === undefined ? this.#keptAlerts : this.#keepAlerts(version, core);
    if (kept === null || kept.version !== version) return null;
    const lists = listsOf(whole) ?? (whole === null ? null : kept.lists);
    this.#keptAlerts = { ...kept, lists };
    // Changes without the lists that they led to would be no state.
    if (whole !== null && lists === null) return null;
    const { number, changes } = whole ?? { number: 0, changes: null };
    return {
      seq,
      readAt,
      version,
      frame: kept.frame,
      whole: lists === null ? null : { number, changes, ...lists },
    };
  }

  #keepAlerts(version: number, core: readonly Alert[]): KeptAlerts {
    const before = this.#keptAlerts;
    const isSame = before !== null && JSON.stringify(before.core) === JSON.stringify(core);
    return isSame
      ? { ...before, version }
      : { version, core, frame: frameOf({ type: "alerts", alerts: core }), lists: null };
  }
}

function unpackFleet({ message, ...state }: FleetParcel): FleetState {
  return { ...state, frame: frameOf(message) };
}

function listsOf(whole: AlertParcel["whole"]): KeptAlerts["lists"] {
  if (whole?.open === undefined || whole.total === undefined) return null;
  return { open: whole.open, total: whole.total };
}

function telemetryFrame(deviceId: string, data: Sample): Frame {
  return frameOf({ type: "telemetry", device_id: deviceId, data });
}
