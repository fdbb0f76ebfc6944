// Databases in memory at the ports, with switches for failure and a ledger of every read.
import { SourceError } from "../../src/sources/source_error.ts";
import type {
  Alert,
  AlertSource,
  AlertStateQuery,
  AlertStatus,
  AlertTableState,
} from "../../src/sources/alert_source.ts";
import type { Sources } from "../../src/sources/open_sources.ts";
import { RangeCollector } from "../../src/sources/range_collector.ts";
import type {
  LatestQuery,
  RangeQuery,
  Sample,
  TelemetrySource,
} from "../../src/sources/telemetry_source.ts";

/** An alert as the table holds it: an instant in `closed_at` closes it whatever its status says. */
export interface StoredAlert extends Alert {
  readonly closed_at?: string | null;
}

export interface FakeSources extends Sources {
  readonly telemetryReads: Array<{ tenantId: string; deviceIds: LatestQuery["deviceIds"] }>;
  /** Reads of open alerts alone. */
  readonly alertReads: Array<{ tenantId: string }>;
  /** Reads of open alerts, changes and counts. */
  readonly alertStateReads: Array<Omit<AlertStateQuery, "signal">>;
  /** Reads of ranges and of devices. */
  readonly historyReads: Array<Omit<RangeQuery, "signal"> | { tenantId: string; limit: number }>;
  /** Reads of alerts that need not be open. */
  readonly alertListReads: Array<{ tenantId: string; status: AlertStatus; limit: number }>;
  /** Stores a sample, and as the device's newest. */
  put(tenantId: string, deviceId: string, sample: Sample): void;
  /** Sets what the table holds, newest first. */
  setAlerts(tenantId: string, alerts: readonly StoredAlert[]): void;
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
  const alerts = new Map<string, readonly StoredAlert[]>();
  const telemetry: TelemetrySource = {
    async readLatest(query) {
      const { tenantId, deviceIds } = query;
      sources.telemetryReads.push({
        tenantId,
        deviceIds: deviceIds === "all" ? deviceIds : [...deviceIds],
      });
      await settle(sources.telemetryFault?.(query) ?? null);
      if (sources.hold !== null) await abortable(sources.hold, query.signal);
      const stored = samples.get(tenantId) ?? new Map<string, Sample>();
      const wanted = deviceIds === "all" ? [...stored.keys()] : deviceIds;
      const found = wanted.flatMap((id) => {
        const sample = stored.get(id);
        return sample === undefined || sources.unreadable.has(id) ? [] : [[id, sample] as const];
      });
      const unreadable = wanted.filter((id) => sources.unreadable.has(id));
      return {
        samples: new Map(found),
        unreadable: new Map(unreadable.map((id) => [id, "Metrics are not an object"])),
      };
    },
    async readRange({ signal, ...query }) {
      sources.historyReads.push(query);
      await settle(sources.historyFault?.(signal) ?? null);
      if (sources.hold !== null) await abortable(sources.hold, signal);
      const { skipSamples = 0 } = query;
      const collector = new RangeCollector({
        ...query,
        maxSamples: skipSamples + query.maxSamples,
      });
      for (const deviceId of query.deviceIds) {
        if (sources.unreadable.has(deviceId)) collector.fail(deviceId, "Metrics are not an object");
        for (const sample of history.get(query.tenantId)?.get(deviceId) ?? []) {
          const isWithin = sample.timestamp > query.after && sample.timestamp <= query.until;
          if (isWithin) collector.add(deviceId, sample);
        }
      }
      const { samples, ...result } = collector.result();
      const kept = [...samples].map(([id, all]) => [id, all.slice(skipSamples)] as const);
      return { ...result, samples: new Map(kept.filter(([, left]) => left.length > 0)) };
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
      return (alerts.get(tenantId) ?? []).filter(isOpen).slice(0, limit).map(toAlert);
    },
    async readState({ signal, ...query }) {
      sources.alertStateReads.push(query);
      await settle(sources.alertFault?.() ?? null);
      if (sources.holdAlerts !== null) await abortable(sources.holdAlerts, signal);
      return stateOf(alerts.get(query.tenantId) ?? [], query);
    },
    async readAlerts({ signal, ...query }) {
      const { tenantId, status, limit } = query;
      sources.alertListReads.push(query);
      await settle(sources.alertFault?.() ?? null);
      if (sources.holdAlerts !== null) await abortable(sources.holdAlerts, signal);
      return (alerts.get(tenantId) ?? [])
        .filter((alert) => status === "ALL" || isOpen(alert) === (status === "OPEN"))
        .slice(0, limit)
        .map(toAlert);
    },
  };
  const state = { state: "ok", since: 0, retryAt: null } as const;
  const sources: FakeSources = {
    telemetry,
    alerts: alertSource,
    signals: null,
    state: () => ({ telemetry: state, alerts: state }),
    check: () => Promise.resolve({ telemetry: { ok: true }, alerts: { ok: true } }),
    telemetryReads: [],
    alertReads: [],
    alertStateReads: [],
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

function isOpen({ status, closed_at = null }: StoredAlert): boolean {
  return status === "OPEN" && closed_at === null;
}

function toAlert({ closed_at: _, ...alert }: StoredAlert): Alert {
  return alert;
}

function stateOf(
  stored: readonly StoredAlert[],
  { limit, changedSince, changedLimit, isCounted }: Omit<AlertStateQuery, "signal" | "tenantId">,
): AlertTableState {
  const open = stored.filter(isOpen);
  const changes = changedSince === null ? [] : stored
    .map((alert) => ({ alert, at: changedAt(alert) }))
    .filter(({ at }) => isLater(at, changedSince))
    .sort((a, b) => a.at === b.at ? a.alert.alert_id - b.alert.alert_id : a.at < b.at ? -1 : 1)
    .map(({ alert }) => ({
      alert: toAlert(alert),
      isOpen: isOpen(alert),
      closedAt: alert.closed_at ?? null,
    }));
  const bySeverity: Record<string, number> = {};
  for (const { severity } of open) {
    const key = String(severity ?? "none");
    bySeverity[key] = (bySeverity[key] ?? 0) + 1;
  }
  return {
    open: open.slice(0, limit).map(toAlert),
    changed: changes.slice(-changedLimit),
    isChangedTruncated: changes.length > changedLimit,
    counts: isCounted ? { total: open.length, bySeverity } : null,
  };
}

/** The later of the instants at which an alert was created and closed. */
function changedAt({ created_at, closed_at }: StoredAlert): string {
  return (closed_at ?? "") > created_at ? closed_at ?? "" : created_at;
}

/** Whether six digits are later than nine; the microsecond that those lie within counts as later. */
function isLater(instant: string, since: string): boolean {
  const micros = `${since.slice(0, 26)}Z`;
  return since.endsWith("000Z") ? instant > micros : instant >= micros;
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
