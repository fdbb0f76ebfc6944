// Databases in memory at the ports, with switches for failure and a ledger of every read.
import { SourceError } from "../../src/sources/source_error.ts";
import type { Alert, AlertSource } from "../../src/sources/alert_source.ts";
import type { Sources } from "../../src/sources/open_sources.ts";
import type { LatestQuery, Sample, TelemetrySource } from "../../src/sources/telemetry_source.ts";

export interface FakeSources extends Sources {
  readonly telemetryReads: Array<{ tenantId: string; deviceIds: readonly string[] }>;
  readonly alertReads: Array<{ tenantId: string }>;
  /** Stores a sample as the device's newest. */
  put(tenantId: string, deviceId: string, sample: Sample): void;
  setAlerts(tenantId: string, alerts: readonly Alert[]): void;
  /** What the next reads do instead of answering; null answers again. */
  telemetryFault: ((query: LatestQuery) => Error | Promise<never> | null) | null;
  alertFault: (() => Error | Promise<never> | null) | null;
  /** Devices whose stored data can't be understood. */
  readonly unreadable: Set<string>;
  /** Resolves before a read answers; lets a test hold reads back. */
  hold: Promise<void> | null;
  holdAlerts: Promise<void> | null;
}

export function fakeSources(): FakeSources {
  const samples = new Map<string, Map<string, Sample>>();
  const alerts = new Map<string, readonly Alert[]>();
  const telemetry: TelemetrySource = {
    async readLatest(query) {
      sources.telemetryReads.push({ tenantId: query.tenantId, deviceIds: [...query.deviceIds] });
      await settle(sources.telemetryFault?.(query) ?? null);
      if (sources.hold !== null) await abortable(sources.hold, query.signal);
      const stored = samples.get(query.tenantId) ?? new Map<string, Sample>();
      const found = query.deviceIds.flatMap((id) => {
        const sample = stored.get(id);
        return sample === undefined || sources.unreadable.has(id) ? [] : [[id, sample] as const];
      });
      const unreadable = query.deviceIds.filter((id) => sources.unreadable.has(id));
      return {
        samples: new Map(found),
        unreadable: new Map(unreadable.map((id) => [id, "Metrics are not an object"])),
      };
    },
  };
  const alertSource: AlertSource = {
    async readOpen({ tenantId, limit, signal }) {
      sources.alertReads.push({ tenantId });
      await settle(sources.alertFault?.() ?? null);
      if (sources.holdAlerts !== null) await abortable(sources.holdAlerts, signal);
      return (alerts.get(tenantId) ?? []).slice(0, limit);
    },
  };
  const state = { state: "ok", since: 0, retryAt: null } as const;
  const sources: FakeSources = {
    telemetry,
    alerts: alertSource,
    state: () => ({ telemetry: state, alerts: state }),
    check: () => Promise.resolve({ telemetry: { ok: true }, alerts: { ok: true } }),
    telemetryReads: [],
    alertReads: [],
    put(tenantId, deviceId, sample) {
      const stored = samples.get(tenantId) ?? new Map<string, Sample>();
      samples.set(tenantId, stored.set(deviceId, sample));
    },
    setAlerts: (tenantId, list) => void alerts.set(tenantId, list),
    telemetryFault: null,
    alertFault: null,
    unreadable: new Set(),
    hold: null,
    holdAlerts: null,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return sources;
}

/** An outage as a source reports it. */
export function outage(): SourceError {
  return new SourceError("unavailable", "Connection refused");
}

async function settle(fault: Error | Promise<never> | null): Promise<void> {
  if (fault instanceof Error) throw fault;
  if (fault !== null) await fault;
}

function abortable(wait: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    wait.then(resolve, reject);
  });
}
