// What a composition of feeds and connections needs for history, over sources in memory or real ones.
import type { Clock } from "../../src/clock.ts";
import type { HistoryOptions } from "../../src/connections/connection_manager.ts";
import { HistoryReader } from "../../src/feed/history_reader.ts";
import { tenantDevices } from "../../src/feed/tenant_devices.ts";
import type { Log } from "../../src/observe/log.ts";
import { SideReads, type SideReadsOptions } from "../../src/sources/side_reads.ts";
import type { SourceState } from "../../src/sources/source_guard.ts";

export const LATE_MS = 10_000;
export const STALE_MS = 300_000;
export const HISTORY_MS = 90_000_000;
export const HISTORY_SAMPLES = 10_000;
const FUTURE_MS = 60_000;
const LOOKBACK_MS = 6 * 3_600_000;

export interface HistoriesOptions {
  readonly sources: Pick<SideReadsOptions["sources"], "telemetry" | "alerts">;
  readonly clock: Clock;
  readonly log: Log;
  readonly historySamples?: number;
  readonly maxOpenAlerts?: number;
  readonly random?: () => number;
}

/** Sources that nobody has found fault with. */
export function wellStates(): { telemetry: SourceState; alerts: SourceState } {
  const state: SourceState = { state: "ok", since: 0, retryAt: null };
  return { telemetry: state, alerts: state };
}

/** What feeds are told beside their sources and times. */
export const FEED_BOUNDS = {
  lateMs: LATE_MS,
  staleMs: STALE_MS,
  maxOpenAlerts: 1_000,
  maxFleetDevices: 10_000,
  states: wellStates,
} as const;

export function histories(
  { sources, clock, log, random = Math.random, ...options }: HistoriesOptions,
): HistoryOptions {
  const { historySamples = HISTORY_SAMPLES, maxOpenAlerts = 1_000 } = options;
  const reads = new SideReads({
    sources: { ...sources, state: wellStates },
    maxReads: 8,
    lookbackMs: LOOKBACK_MS,
    futureMs: FUTURE_MS,
    clock,
    log,
    signal: new AbortController().signal,
  });
  return {
    histories: new HistoryReader({
      reads,
      clock,
      log,
      futureMs: FUTURE_MS,
      historySamples,
      maxOpenAlerts,
    }),
    listDevices: (tenantId, signal) => tenantDevices(reads, { tenantId, limit: 10_000, signal }),
    historyMs: HISTORY_MS,
    lateMs: LATE_MS,
    futureMs: FUTURE_MS,
    random,
  };
}
