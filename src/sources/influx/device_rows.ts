// Gathers who reported and when last out of rows in any order; it must not look at a value.
import type { DevicesResult } from "../telemetry_source.ts";
import { garbageFault } from "./influx_fault.ts";
import { instantOf, type RowSink, type StoredRow } from "./stored_row.ts";

export class DeviceRows implements RowSink {
  readonly #newest = new Map<string, string>();

  /** Throws SourceError for an instant that is none. */
  add(row: StoredRow): void {
    // Points without the tag are nobody's.
    if (row.deviceId === "") return;
    let last: string;
    try {
      last = instantOf(row);
    } catch (error) {
      throw garbageFault("an instant is none", error);
    }
    const known = this.#newest.get(row.deviceId);
    if (known === undefined || known < last) this.#newest.set(row.deviceId, last);
  }

  result(limit: number): DevicesResult {
    const devices = [...this.#newest].map(([device_id, last]) => ({ device_id, last }));
    devices.sort((a, b) =>
      a.last === b.last ? (a.device_id < b.device_id ? -1 : 1) : a.last < b.last ? 1 : -1
    );
    return { devices: devices.slice(0, limit), truncated: devices.length > limit };
  }
}
