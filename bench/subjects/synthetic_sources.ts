// Databases that cost nothing: every read is answered at once, or after a fixed time, with samples made on the spot. What
// a bench measures with them is the service alone.
import { setTimeout as pause } from "node:timers/promises";
import type { Sources } from "../../src/sources/open_sources.ts";
import type { Sample, TelemetrySource } from "../../src/sources/telemetry_source.ts";
import { deviceName, stamp, tenantNumber } from "../load/names.ts";
import { sampleOf } from "../load/samples.ts";

export interface SyntheticOptions {
  /** Devices that each tenant has. */
  readonly devices: number;
  /** How many of a hundred have a new sample at each read. */
  readonly changingPercent: number;
  readonly readMs: number;
  /** Samples a second and device, on a grid of their own; 0 for one at each read. */
  readonly samplesPerSecond: number;
}

export interface SyntheticSources extends Sources {
  /** Finds nothing until `run`, and takes its time for it, so that nothing is sent and little is spent. */
  hold(): void;
  run(): void;
}

const HELD_READ_MS = 200;

export function syntheticSources(options: SyntheticOptions): SyntheticSources {
  const { devices, changingPercent, readMs, samplesPerSecond } = options;
  const numbers = new Map<string, ReadonlyMap<string, number>>();
  const numbersOf = (tenantId: string): ReadonlyMap<string, number> => {
    let known = numbers.get(tenantId);
    if (known === undefined) {
      const tenant = tenantNumber(tenantId);
      known = new Map(Array.from({ length: devices }, (_, nth) => [deviceName(nth, tenant), nth]));
      numbers.set(tenantId, known);
    }
    return known;
  };
  const newest = new Map<string, Sample>();
  const startedAt = Date.now();
  let isHeld = false;
  let reads = 0;
  const wait = async (signal: AbortSignal) => {
    if (isHeld || readMs > 0) await pause(isHeld ? HELD_READ_MS : readMs);
    signal.throwIfAborted();
  };
  const periodMs = 1_000 / samplesPerSecond;
  const atGrid = (n: number, device: number): Sample =>
    sampleOf({ ms: startedAt + n * periodMs, n, device });
  const telemetry: TelemetrySource = {
    async readLatest({ tenantId, deviceIds, signal }) {
      await wait(signal);
      const now = Date.now();
      const samples = new Map<string, Sample>();
      const n = reads++;
      const known = numbersOf(tenantId);
      for (const deviceId of deviceIds === "all" ? known.keys() : deviceIds) {
        const device = known.get(deviceId);
        if (device === undefined || isHeld) continue;
        const isChanged = device % 100 < changingPercent || !newest.has(deviceId);
        if (samplesPerSecond > 0) {
          samples.set(deviceId, atGrid(Math.floor((now - startedAt) / periodMs), device));
        } else {
          if (isChanged) newest.set(deviceId, sampleOf({ ms: now, n, device }));
          samples.set(deviceId, newest.get(deviceId)!);
        }
      }
      return { samples, unreadable: new Map() };
    },
    async readRange({ tenantId, deviceIds, after, signal, maxSamples, order }) {
      await wait(signal);
      if (samplesPerSecond === 0) throw new Error("Synthetic devices have no history here");
      const last = Math.floor((Date.now() - startedAt) / periodMs);
      const first = Math.max(0, Math.ceil((Date.parse(after) - startedAt) / periodMs));
      const known = numbersOf(tenantId);
      const found = deviceIds.flatMap((deviceId) => {
        const device = known.get(deviceId);
        if (device === undefined) return [];
        const samples: Sample[] = [];
        for (let n = first; n <= last && samples.length < maxSamples; n++) {
          const sample = atGrid(n, device);
          if (sample.timestamp > after) samples.push(sample);
        }
        if (order === "descending") samples.reverse();
        return samples.length === 0 ? [] : [[deviceId, samples] as const];
      });
      return { samples: new Map(found), truncated: new Set(), unreadable: new Map() };
    },
    async listDevices({ tenantId, limit, signal }) {
      await wait(signal);
      const last = stamp(Date.now(), 0);
      const names = [...numbersOf(tenantId).keys()];
      const found = names.slice(0, limit).map((device_id) => ({ device_id, last }));
      return { devices: found, truncated: names.length > limit };
    },
  };
  const noAlerts = async (signal: AbortSignal) => {
    await wait(signal);
    return [];
  };
  const ok = { state: "ok", since: startedAt, retryAt: null } as const;
  return {
    telemetry,
    alerts: {
      readOpen: ({ signal }) => noAlerts(signal),
      readAlerts: ({ signal }) => noAlerts(signal),
      readState: async ({ signal, isCounted }) => ({
        open: await noAlerts(signal),
        changed: [],
        isChangedTruncated: false,
        counts: isCounted ? { total: 0, bySeverity: {} } : null,
      }),
    },
    signals: null,
    state: () => ({ telemetry: ok, alerts: ok }),
    check: () => Promise.resolve({ telemetry: { ok: true }, alerts: { ok: true } }),
    hold: () => void (isHeld = true),
    run: () => void (isHeld = false),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
