// Reads every sample of a tenant's devices: what is new of those that have a track, and what is stored already of those
// that begin one. It decides neither when nor for whom.
import { frameOf } from "../protocol/frame.ts";
import { instantOfMs } from "../protocol/nano_instant.ts";
import type { RangeQuery, RangeResult, TelemetrySource } from "../sources/telemetry_source.ts";
import { Quarantine, type QuarantineOptions } from "./quarantine.ts";
import { MAX_SAMPLES_PER_READ, samplesPerDevice } from "./range_plan.ts";
import type { ReadStart } from "./read_start.ts";
import type { DeviceBatch, DeviceState } from "./seam.ts";
import type { TelemetryNews } from "./telemetry_news.ts";
import type { TelemetryStates } from "./telemetry_states.ts";
import { Track, type TrackBeginning } from "./track.ts";
import type { Claim, Tracks } from "./tracks.ts";

export interface TrackReadsOptions extends QuarantineOptions {
  readonly source: Pick<TelemetrySource, "readRange">;
  readonly states: TelemetryStates;
  readonly tracks: Tracks;
  readonly lateMs: number;
  /** A device whose newest sample is older than this is far: nothing of it can come late any more. */
  readonly nearMs: number;
  /** Most samples of one device in one read; MAX_SAMPLES_PER_READ where nothing is said. */
  readonly maxSamples?: number;
  readonly signal: AbortSignal;
}

/** Tracks that are to begin with a read. */
export interface StartedClaim {
  readonly claim: Claim;
  readonly start: ReadStart;
}

/** The newest timestamp; null for a device of which a read found nothing, undefined for one that it could not read. */
export type NewestOf = (deviceId: string) => string | null | undefined;

type Range = Pick<RangeQuery, "after" | "order">;

interface DeviceRange extends Omit<RangeResult, "samples"> {
  readonly deviceId: string;
  readonly samples: NonNullable<ReturnType<RangeResult["samples"]["get"]>>;
}

type Beginning = Required<Omit<TrackBeginning, "seen">>;

/** The sources bound every read by their own clock. */
const END_OF_TIME = "9999-12-31T23:59:59.999999999Z";

export class TrackReads {
  readonly #options: TrackReadsOptions;
  readonly #quarantine: Quarantine;

  constructor(options: TrackReadsOptions) {
    this.#options = options;
    this.#quarantine = new Quarantine(options);
  }

  isSetAside(deviceId: string): boolean {
    return this.#quarantine.isSetAside(deviceId);
  }

  forget(deviceId: string): void {
    this.#quarantine.forget(deviceId);
  }

  /**
   * Reads what is new of the tracks, by one range. What it brought is made when it is told: who was left since is told
   * nothing. Null when all of them are set aside, or there are none.
   */
  async read(tracks: readonly Track[], start: ReadStart): Promise<(() => TelemetryNews) | null> {
    if (tracks.length === 0) return null;
    const after = tracks.map((track) => track.after).reduce((a, b) => a < b ? a : b);
    const wanted = new Map(tracks.map((track) => [track.deviceId, track]));
    const ranges = await this.#readRange([...wanted.keys()], { after, order: "ascending" });
    return ranges === null ? null : () => this.#newsOf(ranges, { wanted, start });
  }

  #newsOf(
    ranges: readonly DeviceRange[],
    { wanted, start }: { readonly wanted: ReadonlyMap<string, Track>; readonly start: ReadStart },
  ): TelemetryNews {
    const { states, tracks: followed } = this.#options;
    const devices: DeviceState[] = [];
    const batches: DeviceBatch[] = [];
    for (const { deviceId, samples, truncated } of ranges) {
      const track = wanted.get(deviceId);
      // Left while it was read; who follows it since has a track of another beginning.
      if (track === undefined || followed.get(deviceId) !== track) continue;
      const fresh = track.take({ samples, isTruncated: truncated.has(deviceId), start });
      const state = states.confirm(deviceId, samples.at(-1) ?? null, start);
      if (state !== null) devices.push(state);
      if (fresh.length === 0) continue;
      batches.push({
        deviceId,
        number: track.number,
        readAt: start.readAt,
        samples: fresh.map((sample) => ({
          sample,
          readAt: start.readAt,
          frame: sample === state?.sample && state.frame !== null
            ? state.frame
            : frameOf({ type: "telemetry", device_id: deviceId, data: sample }),
        })),
        floor: track.floor,
      });
    }
    return { devices, batches, counts: null };
  }

  /**
   * Begins the devices that need no range: those of which nothing can come late any more, and those that were asked for
   * so long ago, by reads that failed, that all that may come late is new.
   */
  beginFar({ claim, start }: StartedClaim, newestOf: NewestOf): readonly DeviceBatch[] {
    const { lateMs, nearMs, tracks } = this.#options;
    const bound = instantOfMs(start.readAt - nearMs);
    const begun: DeviceBatch[] = [];
    for (const [deviceId, { since }] of claim.devices) {
      if (!tracks.isOpen(claim, deviceId)) continue;
      const missedBy = tracks.missedBy(deviceId);
      if (missedBy !== null) {
        const track = new Track({ deviceId, cursor: null, start: missedBy, lateMs });
        begun.push(tracks.begin(track, start.readAt));
        continue;
      }
      const cursor = newestOf(deviceId);
      if (cursor === undefined) continue;
      const near = new Track({ deviceId, cursor, start, lateMs });
      const isNew = cursor !== null && cursor > since;
      if (isNew && (cursor < bound || near.floor > since)) {
        const track = new Track({ deviceId, cursor: null, start, lateMs, floor: since });
        begun.push(tracks.begin(track, start.readAt));
        continue;
      }
      if (cursor !== null && cursor >= bound) continue;
      const track = cursor === null
        ? near
        : new Track({ deviceId, cursor, start, lateMs, floor: cursor });
      begun.push(tracks.begin(track, start.readAt));
    }
    return begun;
  }

  /**
   * Begins the others: what is stored of the time in which samples may still come late must not be told as new, but for
   * what is later than the instant at which the device was asked for. The batches are made when they are told, as by
   * `read`.
   */
  async beginNear({ claim, start }: StartedClaim): Promise<(() => readonly DeviceBatch[]) | null> {
    const { lateMs, states, tracks } = this.#options;
    const deviceIds = [...claim.devices.keys()].filter((id) => tracks.isOpen(claim, id));
    if (deviceIds.length === 0) return null;
    const beginnings = new Map(deviceIds.map((deviceId) => {
      const cursor = states.get(deviceId)?.sample?.timestamp ?? null;
      const { floor } = new Track({ deviceId, cursor, start, lateMs });
      return [deviceId, { deviceId, cursor, floor, start, lateMs }];
    }));
    const floors = [...beginnings.values()].map(({ floor }) => floor);
    const after = floors.reduce((a, b) => a < b ? a : b);
    const ranges = await this.#readRange(deviceIds, { after, order: "descending" });
    return ranges === null ? null : () => this.#begunBy(ranges, { beginnings, claim, start });
  }

  #begunBy(
    ranges: readonly DeviceRange[],
    { beginnings, claim, start }: StartedClaim & {
      readonly beginnings: ReadonlyMap<string, Beginning>;
    },
  ): readonly DeviceBatch[] {
    const { tracks } = this.#options;
    const batches: DeviceBatch[] = [];
    for (const { deviceId, samples, truncated } of ranges) {
      const beginning = beginnings.get(deviceId);
      const since = claim.devices.get(deviceId)?.since;
      if (beginning === undefined || since === undefined || !tracks.isOpen(claim, deviceId)) {
        continue;
      }
      const read = samples.map(({ timestamp }) => timestamp);
      const found = beginning.cursor === null ? read : [beginning.cursor, ...read];
      const seen = found.filter((timestamp) => timestamp <= since).toSorted();
      // Where there is more than one read brings, what it did not bring counts as too old, unless it is new.
      const oldest = truncated.has(deviceId) ? read.at(-1) ?? "" : "";
      const natural = oldest > beginning.floor ? oldest : beginning.floor;
      const floor = natural < since ? natural : since;
      const track = new Track({ ...beginning, cursor: seen.at(-1) ?? null, floor, seen });
      batches.push(tracks.begin(track, start.readAt));
    }
    return batches;
  }

  /** What the range holds of each device that could be read; null when every one is set aside. */
  async #readRange(
    deviceIds: readonly string[],
    range: Range,
  ): Promise<readonly DeviceRange[] | null> {
    const { maxSamples = MAX_SAMPLES_PER_READ, signal, source, states, tenantId } = this.#options;
    const ranges: DeviceRange[] = [];
    const isRead = await this.#quarantine.read(deviceIds, async (some) => {
      const { samples, ...rest } = await source.readRange({
        tenantId,
        deviceIds: some,
        ...range,
        until: END_OF_TIME,
        maxSamples: samplesPerDevice(some.length, maxSamples),
        resolutionSeconds: null,
        signal,
      });
      for (const deviceId of some) {
        ranges.push({ deviceId, samples: samples.get(deviceId) ?? [], ...rest });
      }
    });
    if (!isRead) return null;
    for (const { deviceId, unreadable } of ranges) {
      states.noteReadable(deviceId, unreadable.get(deviceId));
    }
    return ranges;
  }
}
