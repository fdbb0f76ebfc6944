// Packs one tenant's snapshots for one worker. It remembers what it sent, so that what did not change costs next to
// nothing; it must forget what is not followed any more just as the one who unpacks does.
import type { Interest } from "../feed/interest.ts";
import type {
  AlertState,
  DeviceState,
  FleetState,
  InterestChange,
  Snapshot,
} from "../feed/seam.ts";
import type { AlertsMessage, FleetMessage } from "../protocol/server_messages.ts";
import type {
  AlertParcel,
  BatchParcel,
  DeviceParcel,
  FleetParcel,
  SnapshotParcel,
} from "./snapshot_parcel.ts";

interface SentAlerts {
  readonly version: number;
  readonly hasWhole: boolean;
}

export class SnapshotPacker {
  readonly #interest: Interest;
  /** Versions of devices that were sent with their sample. */
  readonly #sent = new Map<string, number>();
  #sentAlerts: SentAlerts | null = null;
  #heard = 0;

  constructor(interest: Interest) {
    this.#interest = interest;
  }

  /** Notes a change that has been counted, and forgets what nobody there follows any more. */
  note({ devices = [], all, number = this.#heard }: InterestChange): void {
    this.#heard = number;
    const changed = all === undefined ? devices.map(({ deviceId }) => deviceId) : this.#sent.keys();
    for (const deviceId of changed) {
      if (!this.#interest.follows(deviceId)) this.#sent.delete(deviceId);
    }
    if (!this.#interest.needsAlerts) this.#sentAlerts = null;
  }

  /** What of the snapshot is followed there; null where that is nothing, and the snapshot is more than a tick. */
  pack({ tenantId, cause, devices, batches, alerts, fleet, allReadAt, statuses }: Snapshot):
    | SnapshotParcel
    | null {
    const interest = this.#interest;
    const parcel: SnapshotParcel = {
      tenantId,
      cause,
      heard: this.#heard,
      devices: devices.filter(({ deviceId }) => interest.follows(deviceId))
        .map((state) => this.#packDevice(state)),
      batches: batches.filter(({ deviceId }) => interest.followsEvery(deviceId)).map(
        ({ samples, ...batch }): BatchParcel => ({
          ...batch,
          samples: samples.map(({ sample, readAt }) => ({ sample, readAt })),
        }),
      ),
      alerts: alerts === null || !interest.needsAlerts ? null : this.#packAlerts(alerts),
      fleet: fleet === null || !interest.followsFleet ? null : packFleet(fleet),
      allReadAt,
      statuses,
    };
    const isEmpty = parcel.devices.length + parcel.batches.length + statuses.length === 0 &&
      parcel.alerts === null && parcel.fleet === null;
    return isEmpty && !this.#isTurn({ cause, devices, alerts, fleet }) ? null : parcel;
  }

  /** Whether a tick of which nothing is left for these clients lets them look at what a read begun later has said. */
  #isTurn(
    { cause, devices, alerts, fleet }: Pick<Snapshot, "cause" | "devices" | "alerts" | "fleet">,
  ): boolean {
    if (cause !== "tick") return false;
    if (devices.length === 0) return alerts === null && fleet === null;
    return this.#interest.deviceCount > 0 || this.#interest.followsAll;
  }

  #packDevice({ deviceId, seq, readAt, version, isStale, sample }: DeviceState): DeviceParcel {
    const parcel = { deviceId, seq, readAt, version, isStale };
    if (this.#sent.get(deviceId) === version) return parcel;
    // One that is gone is told once to who follows all; there may be ever more of them.
    if (sample !== null || this.#interest.names(deviceId)) this.#sent.set(deviceId, version);
    else this.#sent.delete(deviceId);
    return { ...parcel, sample };
  }

  #packAlerts({ seq, readAt, version, frame, whole: found }: AlertState): AlertParcel {
    const whole = this.#interest.needsWholeAlerts ? found : null;
    const before = this.#sentAlerts;
    const isSent = before !== null && before.version === version &&
      (whole === null || before.hasWhole);
    this.#sentAlerts = { version, hasWhole: whole !== null };
    if (isSent) {
      const { number, changes } = whole ?? { number: 0, changes: null };
      return { seq, readAt, version, whole: whole === null ? null : { number, changes } };
    }
    return { seq, readAt, version, core: (frame.message as AlertsMessage).alerts, whole };
  }
}

function packFleet({ frame, ...state }: FleetState): FleetParcel {
  return { ...state, message: frame.message as FleetMessage };
}
