// Databases in memory at the ports, with switches for failure and a ledger of every read.
import { SourceError } from "../../src/sources/source_error.ts";
import type { Alert, AlertSource, AlertStatus } from "../../src/sources/alert_source.ts";
import type { Sources } from "../../src/sources/open_sources.ts";
import { RangeCollector } from "../../src/sources/range_collector.ts";
import type {
  LatestQuery,
  RangeQuery,
  Sample,
  TelemetrySource,
} from "../../src/sources/telemetry_source.ts";

export interface FakeSources extends Sources {
  readonly telemetryReads: Array<{ tenantId: string; deviceIds: readonly string[] }>;
  readonly alertReads: Array<{ tenantId: string }>;
  /** Reads of ranges and of devices. */
  readonly historyReads: Array<Omit<RangeQuery, "signal"> | { tenantId: string; limit: number }>;
  /** Reads of alerts that need not be open. */
  readonly alertListReads: Array<{ tenantId: string; status: AlertStatus; limit: number }>;
  /** Stores a sample, and as the device's newest. */
  put(tenantId: string, deviceId: string, sample: Sample): void;
  setAlerts(tenantId: string, alerts: readonly Alert[]): void;
  /** What the next reads do instead of answering; null answers again. */
  telemetryFault: ((query: LatestQuery) => Error | Promise<never> | null) | null;
  alertFault: (() => Error | Promise<never> | null) | null;
  /** What the next reads of ranges and devices do instead of answering; null answers again. */
  historyFault: ((signal: AbortSignal) => Error | Promise<never> | null) | null;
  /** Devices whose stored data can't be understood. */
  readonly unreadable: Set<string>;
  /** Resolves before a read answers; lets a test hold reads back. */
  hold: Promise<void> | null;
  holdAlerts: Promise<void> | null;
}

export function fakeSources(): FakeSources {
  const samples = new Map<string, Map<string, Sample>>();
  const history = new Map<string, Map<string, Sample[]>>();
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
    async readRange({ signal, ...query }) {
      sources.historyReads.push(query);
      await settle(sources.historyFault?.(signal) ?? null);
      if (sources.hold !== null) await abortable(sources.hold, signal);
      const collector = new RangeCollector(query);
      for (const deviceId of query.deviceIds) {
        if (sources.unreadable.has(deviceId)) collector.fail(deviceId, "Metrics are not an object");
        for (const sample of history.get(query.tenantId)?.get(deviceId) ?? []) {
          const isWithin = sample.timestamp > query.after && sample.timestamp <= query.until;
          if (isWithin) collector.add(deviceId, sample);
        }
      }
      return collector.result();
    },
    async listDevices({ signal, ...query }) {
      sources.historyReads.push(query);
      await settle(sources.historyFault?.(signal) ?? null);
      if (sources.hold !== null) await abortable(sources.hold, signal);
      const devices = [...samples.get(query.tenantId) ?? []]
        .map(([device_id, { timestamp }]) => ({ device_id, last: timestamp }))
        .sort((a, b) => a.last < b.last ? 1 : -1);
      return { devices: devices.slice(0, query.limit), truncated: devices.length > query.limit };
    },
  };
  const alertSource: AlertSource = {
    async readOpen({ tenantId, limit, signal }) {
      sources.alertReads.push({ tenantId });
      await settle(sources.alertFault?.() ?? null);
      if (sources.holdAlerts !== null) await abortable(sources.holdAlerts, signal);
      return (alerts.get(tenantId) ?? []).filter(isOpen).slice(0, limit);
    },
    async readAlerts({ signal, ...query }) {
      const { tenantId, status, limit } = query;
      sources.alertListReads.push(query);
      await settle(sources.alertFault?.() ?? null);
      if (sources.holdAlerts !== null) await abortable(sources.holdAlerts, signal);
      return (alerts.get(tenantId) ?? [])
        .filter((alert) => status === "ALL" || isOpen(alert) === (status === "OPEN"))
        .slice(0, limit);
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
    historyReads: [],
    alertListReads: [],
    put(tenantId, deviceId, sample) {
      const stored = samples.get(tenantId) ?? new Map<string, Sample>();
      samples.set(tenantId, stored.set(deviceId, sample));
      const taken = history.get(tenantId) ?? new Map<string, Sample[]>();
      history.set(tenantId, taken.set(deviceId, [...taken.get(deviceId) ?? [], sample]));
    },
    setAlerts: (tenantId, list) => void alerts.set(tenantId, list),
    telemetryFault: null,
    alertFault: null,
    historyFault: null,
    unreadable: new Set(),
    hold: null,
    holdAlerts: null,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return sources;
}

function isOpen({ status }: Alert): boolean {
  return status === "OPEN";
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
