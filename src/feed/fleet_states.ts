// A tenant's fleet in numbers, put together from what its two sources said last; it reads nothing.
import { frameOf } from "../protocol/frame.ts";
import type { FleetMessage } from "../protocol/server_messages.ts";
import type { AlertCounts } from "./alert_states.ts";
import type { DeviceCounts } from "./all_devices.ts";
import type { FleetState } from "./seam.ts";

/** What one read counted. */
export type Counted<Counts> = Counts & { readonly seq: number; readonly readAt: number };

export interface FleetNews {
  readonly devices: Counted<DeviceCounts> | null;
  readonly alerts: Counted<AlertCounts> | null;
}

export class FleetStates {
  readonly #nextSeq: () => number;
  #devices: Counted<DeviceCounts> | null = null;
  #alerts: Counted<AlertCounts> | null = null;
  #state: FleetState | null = null;

  constructor({ nextSeq }: { readonly nextSeq: () => number }) {
    this.#nextSeq = nextSeq;
  }

  /** Takes over what was counted; null when that was nothing, or later reads have counted already. */
  take({ devices, alerts }: FleetNews): FleetState | null {
    const newDevices = isLater(devices, this.#devices) ? devices : null;
    const newAlerts = isLater(alerts, this.#alerts) ? alerts : null;
    if (newDevices === null && newAlerts === null) return null;
    this.#devices = newDevices ?? this.#devices;
    this.#alerts = newAlerts ?? this.#alerts;
    const before = this.#state;
    const message = messageOf(this.#devices, this.#alerts);
    const isSame = before !== null && isSameFleet(before.frame.message as FleetMessage, message);
    this.#state = {
      seq: this.#nextSeq(),
      readAt: Math.max(newDevices?.readAt ?? 0, newAlerts?.readAt ?? 0),
      version: isSame ? before.version : (before?.version ?? 0) + 1,
      frame: isSame ? before.frame : frameOf(message),
    };
    return this.#state;
  }

  /** Nobody follows the fleet any more: what is known of it grows old. */
  forget(): void {
    this.#devices = null;
    this.#alerts = null;
  }
}

function isLater<T>(one: Counted<T> | null, other: Counted<T> | null): boolean {
  return one !== null && one.seq > (other?.seq ?? 0);
}

function messageOf(devices: DeviceCounts | null, alerts: AlertCounts | null): FleetMessage {
  return {
    type: "fleet",
    devices: devices === null
      ? null
      : { total: devices.total, online: devices.online, stale: devices.stale },
    alerts: alerts === null ? null : { open: alerts.total, by_severity: alerts.bySeverity },
  };
}

function isSameFleet(one: FleetMessage, other: FleetMessage): boolean {
  return JSON.stringify(one.devices) === JSON.stringify(other.devices) &&
    JSON.stringify(sorted(one.alerts)) === JSON.stringify(sorted(other.alerts));
}

/** The database may count severities in any order. */
function sorted(alerts: FleetMessage["alerts"]): unknown {
  if (alerts === null) return null;
  return [alerts.open, Object.entries(alerts.by_severity).sort(([a], [b]) => a < b ? -1 : 1)];
}
