// Keeps what the last read said of each device's newest sample; a late answer never replaces a newer one, and a device
// that spoils a query is set aside so that the others are read.
import type { Log } from "../observe/log.ts";
import { type Frame, frameOf } from "../protocol/frame.ts";
import type { Sample } from "../protocol/server_messages.ts";
import type { LatestResult, TelemetrySource } from "../sources/telemetry_source.ts";
import { Quarantine, type QuarantineOptions } from "./quarantine.ts";
import type { ReadStart } from "./read_start.ts";
import type { DeviceState } from "./seam.ts";

export interface TelemetryStatesOptions extends QuarantineOptions {
  readonly source: Pick<TelemetrySource, "readLatest">;
  readonly log: Log;
}

export interface StartedRead {
  readonly start: ReadStart;
  readonly signal: AbortSignal;
}

const NEVER_READ = { seq: 0, version: 0, frame: null, sample: null } as const;

export class TelemetryStates {
  readonly #options: TelemetryStatesOptions;
  readonly #quarantine: Quarantine;
  readonly #held = new Map<string, DeviceState>();
  /** Of each device, the last read that had begun when what is held was taken over: up to it reads went side by side. */
  readonly #beside = new Map<string, number>();
  #begunSeq = 0;
  readonly #unreadable = new Set<string>();
  /** The greatest version that was let go of while it may be followed still: none may come again. */
  #lastVersion = 0;

  constructor(options: TelemetryStatesOptions) {
    this.#options = options;
    this.#quarantine = new Quarantine(options);
  }

  get(deviceId: string): DeviceState | undefined {
    return this.#held.get(deviceId);
  }

  /** The devices that something is held of. */
  get deviceIds(): readonly string[] {
    return [...this.#held.keys()];
  }

  /** Notes that a read begins. */
  begin({ seq }: ReadStart): void {
    this.#begunSeq = Math.max(this.#begunSeq, seq);
  }

  /** Forgets a device that nobody follows any more. */
  forget(deviceId: string): void {
    this.#held.delete(deviceId);
    this.#beside.delete(deviceId);
    this.#quarantine.forget(deviceId);
    this.#unreadable.delete(deviceId);
  }

  /** Lets go of a device of which there is nothing to be said for now; when it is met again its version still rises. */
  drop(deviceId: string): void {
    this.#lastVersion = Math.max(this.#lastVersion, this.#held.get(deviceId)?.version ?? 0);
    this.forget(deviceId);
  }

  /**
   * Reads the devices and returns the states that this read brought; devices whose data can't be understood are not
   * among them. Returns null when every device is set aside; throws what the source threw when nothing could be read.
   */
  async read(
    deviceIds: readonly string[],
    { start, signal }: StartedRead,
  ): Promise<readonly DeviceState[] | null> {
    const { source, tenantId } = this.#options;
    const results: Array<readonly [readonly string[], LatestResult]> = [];
    const isRead = await this.#quarantine.read(deviceIds, async (some) => {
      results.push([some, await source.readLatest({ tenantId, deviceIds: some, signal })]);
    });
    if (!isRead) return null;
    return results.flatMap(([some, result]) => this.take(result, { deviceIds: some, start }));
  }

  /** Takes over what a read said of these devices and returns the states that it brought. */
  take(
    { samples, unreadable }: LatestResult,
    { deviceIds, start }: { readonly deviceIds: Iterable<string>; readonly start: ReadStart },
  ): readonly DeviceState[] {
    const states: DeviceState[] = [];
    for (const deviceId of deviceIds) {
      const problem = unreadable.get(deviceId);
      this.noteReadable(deviceId, problem);
      if (problem !== undefined) continue;
      const state = this.merge(deviceId, samples.get(deviceId) ?? null, start);
      if (state !== null) states.push(state);
    }
    return states;
  }

  /**
   * Takes over the newest of some samples that a read of a range brought, null when it brought none. What is known of a
   * newer one stays: the range need not reach up to it.
   */
  confirm(deviceId: string, sample: Sample | null, start: ReadStart): DeviceState | null {
    const held = this.#held.get(deviceId)?.sample ?? null;
    if (sample === null && held === null) return null;
    const isNewer = held === null || (sample !== null && sample.timestamp >= held.timestamp);
    return this.merge(deviceId, isNewer ? sample : held, start);
  }

  /** Notes the newest sample; null when a later read has said more of the device already. */
  merge(deviceId: string, found: Sample | null, start: ReadStart): DeviceState | null {
    const { seq, readAt } = start;
    const before = this.#held.get(deviceId) ?? NEVER_READ;
    if (before.seq > seq) return null;
    // Queries that run side by side come to the database in any order: the one that found more came later.
    const isBeside = before.seq === seq || (this.#beside.get(deviceId) ?? 0) >= seq;
    const isOlder = isBeside && (found?.timestamp ?? "") < (before.sample?.timestamp ?? "");
    const sample = isOlder ? before.sample : found;
    const isSame = isSameSample(before.sample, sample);
    const version = isSame ? before.version : Math.max(before.version, this.#lastVersion) + 1;
    const frame: Frame | null = isSame
      ? before.frame
      : sample === null
      ? null
      : frameOf({ type: "telemetry", device_id: deviceId, data: sample });
    const isStale = sample === null || sample.timestamp < start.stale;
    const kept = isSame ? before.sample : sample;
    const state: DeviceState = { deviceId, seq, readAt, version, sample: kept, isStale, frame };
    this.#held.set(deviceId, state);
    this.#beside.set(deviceId, this.#begunSeq);
    return state;
  }

  /** Tells the log once of a device whose data can't be understood, until it can. */
  noteReadable(deviceId: string, problem: string | undefined): void {
    if (problem === undefined) {
      this.#unreadable.delete(deviceId);
    } else if (!this.#unreadable.has(deviceId)) {
      this.#unreadable.add(deviceId);
      const { log, tenantId } = this.#options;
      log.warning("device_unreadable", { tenant: tenantId, device: deviceId, error: problem });
    }
  }
}

function isSameSample(one: Sample | null, other: Sample | null): boolean {
  if (one === null || other === null) return one === other;
  if (one.timestamp !== other.timestamp) return false;
  const names = Object.keys(one.metrics);
  if (names.length !== Object.keys(other.metrics).length) return false;
  return names.every((name) => isSameValue(one.metrics[name], other.metrics[name]));
}

function isSameValue(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  return typeof one === "object" && JSON.stringify(one) === JSON.stringify(other);
}
