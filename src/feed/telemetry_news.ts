// What one read of telemetry brought, on its way from who reads to who publishes. Data only.
import type { DeviceCounts } from "./all_devices.ts";
import type { Counted } from "./fleet_states.ts";
import type { DeviceBatch, DeviceState } from "./seam.ts";

export interface TelemetryNews {
  readonly devices: readonly DeviceState[];
  readonly batches: readonly DeviceBatch[];
  readonly counts: Counted<DeviceCounts> | null;
}
