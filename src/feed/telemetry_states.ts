// Reads the newest samples of a tenant's devices and keeps what the last read said of each; a late answer never
// replaces a newer one, and a device that spoils a query is set aside so that the others are read.
import type { Clock } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import { type Frame, frameOf } from "../protocol/frame.ts";
import type { Sample } from "../protocol/server_messages.ts";
import { SourceError } from "../sources/source_error.ts";
import type { TelemetrySource } from "../sources/telemetry_source.ts";
import type { DeviceState } from "./seam.ts";

export interface TelemetryStatesOptions {
  readonly tenantId: string;
  readonly source: TelemetrySource;
  readonly clock: Clock;
  readonly log: Log;
  /** How long a device that spoiled a query is left out. */
  readonly quarantineMs: number;
}

/** Queries that one read may spend on finding the devices that spoil it: enough for one among 10,000. */
const MAX_ISOLATION_READS = 32;

interface Held extends DeviceState {
  readonly sample: Sample | null;
}

const NEVER_READ = { seq: 0, version: 0, frame: null, sample: null } as const;

interface Outcome {
  readonly samples: Map<string, Sample | null>;
  /** Devices that spoiled a query all by themselves. */
  readonly spoilers: Map<string, SourceError>;
  readsLeft: number;
}

export class TelemetryStates {
  readonly #options: TelemetryStatesOptions;
  readonly #held = new Map<string, Held>();
  readonly #setAsideUntil = new Map<string, number>();
  readonly #unreadable = new Set<string>();

  constructor(options: TelemetryStatesOptions) {
    this.#options = options;
  }

  get(deviceId: string): DeviceState | undefined {
    return this.#held.get(deviceId);
  }

  /** Forgets a device that nobody follows any more. */
  forget(deviceId: string): void {
    this.#held.delete(deviceId);
    this.#setAsideUntil.delete(deviceId);
    this.#unreadable.delete(deviceId);
  }

  /**
   * Reads the devices and returns the states that this read brought; devices whose data can't be understood are not
   * among them. Returns null when every device is set aside; throws what the source threw when nothing could be read.
   */
  async read(
    deviceIds: readonly string[],
    { seq, signal }: { readonly seq: number; readonly signal: AbortSignal },
  ): Promise<readonly DeviceState[] | null> {
    const { clock } = this.#options;
    const readAt = clock.now();
    const now = clock.monotonicNow();
    const wanted = deviceIds.filter((id) => (this.#setAsideUntil.get(id) ?? -Infinity) <= now);
    if (wanted.length === 0) return null;
    const outcome: Outcome = {
      samples: new Map(),
      spoilers: new Map(),
      readsLeft: MAX_ISOLATION_READS,
    };
    await this.#readInto(outcome, wanted, signal);
    this.#setAside(outcome, wanted);
    if (outcome.spoilers.size === wanted.length) return null;
    return [...outcome.samples].flatMap(([deviceId, sample]) => {
      const state = this.#merge(deviceId, sample, { seq, readAt });
      return state === null ? [] : [state];
    });
  }

  async #readInto(
    outcome: Outcome,
    deviceIds: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const { source, tenantId } = this.#options;
    if (outcome.readsLeft <= 0) return;
    outcome.readsLeft--;
    try {
      const result = await source.readLatest({ tenantId, deviceIds, signal });
      for (const deviceId of deviceIds) {
        const problem = result.unreadable.get(deviceId);
        this.#noteReadable(deviceId, problem);
        if (problem === undefined) {
          outcome.samples.set(deviceId, result.samples.get(deviceId) ?? null);
        }
      }
    } catch (error) {
      if (!(error instanceof SourceError) || error.kind !== "rejected") throw error;
      const [only] = deviceIds;
      if (deviceIds.length === 1 && only !== undefined) {
        outcome.spoilers.set(only, error);
        return;
      }
      const half = deviceIds.length >> 1;
      await this.#readInto(outcome, deviceIds.slice(0, half), signal);
      await this.#readInto(outcome, deviceIds.slice(half), signal);
    }
  }

  #setAside({ samples, spoilers, readsLeft }: Outcome, wanted: readonly string[]): void {
    const [error] = spoilers.values();
    if (error === undefined) return;
    const isNothingRead = samples.size === 0 && wanted.length > 1;
    // When no query at all is accepted it is not the devices' doing; when the search ended first nobody knows yet,
    // and setting aside what it found brings the next one further.
    if (isNothingRead && readsLeft > 0) throw error;
    const { clock, log, quarantineMs, tenantId } = this.#options;
    const now = clock.monotonicNow();
    // A first read beside a tick's finds the same ones.
    const isTold = spoilers.keys().every((id) => (this.#setAsideUntil.get(id) ?? -Infinity) > now);
    for (const deviceId of spoilers.keys()) {
      this.#setAsideUntil.set(deviceId, now + quarantineMs);
    }
    if (!isTold) {
      log.warning("devices_set_aside", {
        tenant: tenantId,
        devices: [...spoilers.keys()].slice(0, 5),
        count: spoilers.size,
        for_ms: quarantineMs,
        error,
      });
    }
    if (isNothingRead) throw error;
  }

  #merge(
    deviceId: string,
    sample: Sample | null,
    { seq, readAt }: { seq: number; readAt: number },
  ): DeviceState | null {
    const before = this.#held.get(deviceId) ?? NEVER_READ;
    if (before.seq > seq) return null;
    const isSame = isSameSample(before.sample, sample);
    const version = isSame ? before.version : before.version + 1;
    const frame: Frame | null = isSame
      ? before.frame
      : sample === null
      ? null
      : frameOf({ type: "telemetry", device_id: deviceId, data: sample });
    const held: Held = { deviceId, seq, readAt, version, frame, sample };
    this.#held.set(deviceId, held);
    return { deviceId, seq, readAt, version, frame };
  }

  #noteReadable(deviceId: string, problem: string | undefined): void {
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
