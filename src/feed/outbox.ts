// Holds what a tenant's reads brought until it is delivered, in the order in which it was read; nothing may overtake.
import type { AlertState, DeviceBatch, DeviceState, FleetState, Snapshot } from "./seam.ts";
import type { SourceStatus } from "./seam.ts";

export interface Parcel {
  readonly cause: Snapshot["cause"];
  readonly devices?: readonly DeviceState[];
  readonly batches?: readonly DeviceBatch[];
  readonly alerts?: AlertState | null;
  readonly fleet?: FleetState | null;
  readonly allReadAt?: number | null;
  readonly statuses?: readonly SourceStatus[];
}

type Filled = { -readonly [Name in keyof Snapshot]: Snapshot[Name] };

export class Outbox {
  readonly #tenantId: string;
  readonly #deliver: (snapshot: Snapshot) => void;
  #waiting: Filled[] = [];

  constructor(tenantId: string, deliver: (snapshot: Snapshot) => void) {
    this.#tenantId = tenantId;
    this.#deliver = deliver;
  }

  /** Adds what was read; what there is nothing in is left out. Returns whether there was anything. */
  add(parcel: Parcel): boolean {
    const { cause, devices = [], batches = [], alerts = null, fleet = null, statuses = [] } =
      parcel;
    const count = devices.length + batches.length + statuses.length;
    if (count === 0 && alerts === null && fleet === null) return false;
    let last = this.#waiting.at(-1);
    // Each state of the alerts carries changes of its own, so that none may take another's place.
    if (last === undefined || (alerts !== null && last.alerts !== null)) {
      last = this.#empty(cause);
      this.#waiting.push(last);
    }
    if (cause === "tick") last.cause = cause;
    last.allReadAt = parcel.allReadAt ?? last.allReadAt;
    last.devices = [...last.devices, ...devices];
    last.batches = [...last.batches, ...batches];
    last.alerts = alerts ?? last.alerts;
    last.fleet = fleet ?? last.fleet;
    last.statuses = [...last.statuses, ...statuses];
    return true;
  }

  /** Adds a tick that has nothing in it. */
  addTurn(): void {
    const last = this.#waiting.at(-1);
    if (last === undefined) this.#waiting.push(this.#empty("tick"));
    else last.cause = "tick";
  }

  /** Takes back batches of devices whose every sample nobody follows any more. */
  withdraw(isTracked: (deviceId: string) => boolean): void {
    for (const snapshot of this.#waiting) {
      snapshot.batches = snapshot.batches.filter(({ deviceId }) => isTracked(deviceId));
    }
  }

  /** Delivers everything that waits. */
  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const snapshot of waiting) this.#deliver(snapshot);
  }

  #empty(cause: Snapshot["cause"]): Filled {
    return {
      tenantId: this.#tenantId,
      cause,
      devices: [],
      batches: [],
      alerts: null,
      fleet: null,
      allReadAt: null,
      statuses: [],
    };
  }
}
