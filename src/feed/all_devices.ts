// Reads the newest sample of every device of a tenant, by one query or, where one device spoils that, by a list of them;
// it keeps no more of them than may be followed all at once.
import type { Log } from "../observe/log.ts";
import type { Clock } from "../clock.ts";
import { SourceError } from "../sources/source_error.ts";
import type { TelemetrySource } from "../sources/telemetry_source.ts";
import type { DeviceState } from "./seam.ts";
import type { StartedRead, TelemetryStates } from "./telemetry_states.ts";

export interface AllDevicesOptions {
  readonly tenantId: string;
  readonly source: Pick<TelemetrySource, "readLatest" | "listDevices">;
  readonly states: TelemetryStates;
  readonly maxDevices: number;
  /** Told of each read that found more devices than that. */
  readonly cut?: ((source: "telemetry") => void) | undefined;
  /** How long the devices are read by a list after the query for all was refused. */
  readonly quarantineMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

export interface AllDevicesQuery extends StartedRead {
  /** Devices that are read whether or not they are found. */
  readonly named: readonly string[];
  /** Whether the states of all that were found are wanted, or only those of the named. */
  readonly wantsAll: () => boolean;
  /** Whether a device is kept however many there are. */
  readonly isKept: (deviceId: string) => boolean;
}

/** A tenant's devices that have a sample within the lookback. */
export interface DeviceCounts {
  readonly total: number;
  readonly online: number;
  readonly stale: number;
}

export interface AllDevicesOutcome {
  readonly states: readonly DeviceState[];
  /** Those of the found ones that may be followed all at once, the newest first. */
  readonly kept: readonly string[];
  /** The newest timestamp of each device that was found. */
  readonly newest: ReadonlyMap<string, string>;
  readonly counts: DeviceCounts;
}

export class AllDevices {
  readonly #options: AllDevicesOptions;
  #listedUntil = 0;
  #isRefused = false;
  #isTruncated = false;

  constructor(options: AllDevicesOptions) {
    this.#options = options;
  }

  /** Throws what the source threw. */
  async read(query: AllDevicesQuery): Promise<AllDevicesOutcome> {
    const { clock, source, tenantId } = this.#options;
    const { start, signal } = query;
    if (clock.monotonicNow() < this.#listedUntil) return await this.#readListed(query);
    try {
      const result = await source.readLatest({ tenantId, deviceIds: "all", signal });
      this.#isRefused = false;
      const newest = new Map([...result.samples].map(([id, { timestamp }]) => [id, timestamp]));
      const kept = this.#keep(newest, query);
      const wanted = query.wantsAll() ? [...kept, ...result.unreadable.keys()] : [];
      const states = this.#options.states.take(result, {
        deviceIds: new Set([...wanted, ...query.named]),
        start,
      });
      const isKnown = (deviceId: string) => newest.has(deviceId) || result.unreadable.has(deviceId);
      const gone = this.#letGo(query, { kept, isKnown });
      return { states: [...states, ...gone], kept, newest, counts: countsOf(newest, query) };
    } catch (error) {
      if (!(error instanceof SourceError) || error.kind !== "rejected") throw error;
      this.#refused(error);
      return await this.#readListed(query);
    }
  }

  async #readListed(query: AllDevicesQuery): Promise<AllDevicesOutcome> {
    const { maxDevices, source, states, tenantId } = this.#options;
    const { signal } = query;
    const { devices, truncated } = await source.listDevices({
      tenantId,
      limit: maxDevices,
      signal,
    });
    this.#noteTruncated(truncated);
    const newest = new Map(devices.map(({ device_id, last }) => [device_id, last]));
    const kept = [...newest.keys()];
    const wanted = new Set([...query.wantsAll() ? kept : [], ...query.named]);
    const read = wanted.size === 0 ? [] : await states.read([...wanted], query) ?? [];
    // A list that was cut says nothing of who is gone.
    const gone = truncated ? [] : this.#letGo(query, { kept, isKnown: (id) => newest.has(id) });
    return { states: [...read, ...gone], kept, newest, counts: countsOf(newest, query) };
  }

  #refused(error: SourceError): void {
    const { clock, log, quarantineMs, tenantId } = this.#options;
    this.#listedUntil = clock.monotonicNow() + quarantineMs;
    if (this.#isRefused) return;
    this.#isRefused = true;
    log.warning("fleet_read_refused", { tenant: tenantId, for_ms: quarantineMs, error });
  }

  #keep(newest: ReadonlyMap<string, string>, { isKept }: AllDevicesQuery): readonly string[] {
    const { maxDevices } = this.#options;
    const isTruncated = newest.size > maxDevices;
    this.#noteTruncated(isTruncated, newest.size);
    if (!isTruncated) return [...newest.keys()];
    const byAge = [...newest].sort(([, a], [, b]) => a === b ? 0 : a < b ? 1 : -1);
    return byAge.filter(([id], index) => index < maxDevices || isKept(id)).map(([id]) => id);
  }

  #noteTruncated(isTruncated: boolean, count: number | null = null): void {
    const isTold = this.#isTruncated;
    this.#isTruncated = isTruncated;
    const { cut, log, maxDevices, tenantId } = this.#options;
    if (isTruncated) cut?.("telemetry");
    if (isTold || !isTruncated) return;
    log.warning("fleet_truncated", { tenant: tenantId, limit: maxDevices, count });
  }

  /** Lets go of the devices that are not followed by name and are not among the kept ones any more. */
  #letGo(
    { named, start, isKept }: AllDevicesQuery,
    { kept, isKnown }: {
      readonly kept: readonly string[];
      readonly isKnown: (deviceId: string) => boolean;
    },
  ): readonly DeviceState[] {
    const { states } = this.#options;
    const staying = new Set([...kept, ...named]);
    const gone: DeviceState[] = [];
    for (const deviceId of states.deviceIds) {
      const isSuperseded = (states.get(deviceId)?.seq ?? 0) > start.seq;
      if (staying.has(deviceId) || isSuperseded) continue;
      if (isKnown(deviceId)) {
        if (!isKept(deviceId)) states.drop(deviceId);
        continue;
      }
      // Whoever follows it among all learns once that there is nothing of it any more.
      const state = states.merge(deviceId, null, start);
      if (state !== null) gone.push(state);
      states.drop(deviceId);
    }
    return gone;
  }
}

function countsOf(newest: ReadonlyMap<string, string>, { start }: StartedRead): DeviceCounts {
  const total = newest.size;
  let stale = 0;
  for (const timestamp of newest.values()) if (timestamp < start.stale) stale++;
  return { total, online: total - stale, stale };
}
