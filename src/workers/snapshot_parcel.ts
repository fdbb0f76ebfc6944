// A snapshot on its way to another thread: only what that thread's clients follow, what it has got already left out, and
// no frame, as each thread makes its own.
import type {
  AlertState,
  DeviceBatch,
  DeviceState,
  FleetState,
  Snapshot,
  StoredSample,
  WholeAlerts,
} from "../feed/seam.ts";
import type { Alert, FleetMessage, Sample } from "../protocol/server_messages.ts";

export interface DeviceParcel extends Omit<DeviceState, "sample" | "frame"> {
  /** Left out where this version of it was sent before. */
  readonly sample?: Sample | null;
}

export interface BatchParcel extends Omit<DeviceBatch, "samples"> {
  readonly samples: readonly Omit<StoredSample, "frame">[];
}

export interface AlertParcel extends Omit<AlertState, "frame" | "whole"> {
  /** Left out, as the lists of `whole` are, where this version of them was sent before. */
  readonly core?: readonly Alert[];
  readonly whole:
    | Pick<WholeAlerts, "number" | "changes"> & Partial<Pick<WholeAlerts, "open" | "total">>
    | null;
}

export interface FleetParcel extends Omit<FleetState, "frame"> {
  readonly message: FleetMessage;
}

export interface SnapshotParcel
  extends Pick<Snapshot, "tenantId" | "cause" | "allReadAt" | "statuses"> {
  /** The number of the last change of interest that had been heard of; 0 before any. */
  readonly heard: number;
  readonly devices: readonly DeviceParcel[];
  readonly batches: readonly BatchParcel[];
  readonly alerts: AlertParcel | null;
  readonly fleet: FleetParcel | null;
}
