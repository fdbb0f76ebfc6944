// Feeds over databases in memory under a clock that only moves when told; what they deliver is kept.
import {
  FeedRegistry,
  type FeedRegistryOptions,
  type Feeds,
} from "../../src/feed/feed_registry.ts";
import type { DeviceState, Snapshot } from "../../src/feed/seam.ts";
import type { LatestQuery, TelemetrySource } from "../../src/sources/telemetry_source.ts";
import { type FakeClock, fakeClock } from "../support/fake_clock.ts";
import { type FakeSources, fakeSources } from "../support/fake_sources.ts";
import { type MemoryLog, memoryLog } from "../support/memory_log.ts";

export const POLL_MS = 1_000;
export const LINGER_MS = 300;
export const LATE_MS = 10_000;
export const STALE_MS = 300_000;
/** With the fixture's random numbers a feed ticks this long after its first connection, then every POLL_MS. */
export const PHASE_MS = 500;

export interface FeedFixture {
  readonly clock: FakeClock;
  readonly sources: FakeSources;
  readonly log: MemoryLog;
  readonly feeds: FeedRegistry;
  /** Milliseconds since the fixture was made. */
  elapsed(): number;
  connect(tenantId?: string): void;
  disconnect(tenantId?: string): void;
  /** One connection more follows the devices and asks for first values of them. */
  follow(deviceIds: readonly string[], tenantId?: string): void;
  unfollow(deviceIds: readonly string[], tenantId?: string): void;
  /** The same for every sample of the devices. */
  followEvery(deviceIds: readonly string[], tenantId?: string): void;
  unfollowEvery(deviceIds: readonly string[], tenantId?: string): void;
  followAlerts(tenantId?: string): void;
  unfollowAlerts(tenantId?: string): void;
  /** What was delivered since the last call. */
  take(): Snapshot[];
  /** The newest delivered state of a device. */
  state(deviceId: string): DeviceState | undefined;
  /** Forgets reads and snapshots so far. */
  forget(): void;
}

type Parts = Pick<FeedFixture, "clock" | "sources" | "log">;

export function feedFixture(
  overrides: (parts: Parts) => Partial<FeedRegistryOptions> = () => ({}),
): FeedFixture {
  const clock = fakeClock();
  const sources = fakeSources();
  const log = memoryLog();
  const startedAt = clock.now();
  const feeds = new FeedRegistry({
    telemetry: sources.telemetry,
    alerts: sources.alerts,
    pollIntervalMs: POLL_MS,
    lateMs: LATE_MS,
    staleMs: STALE_MS,
    maxAlerts: 100,
    maxOpenAlerts: 1_000,
    maxFleetDevices: 10_000,
    states: () => sources.state(),
    lingerMs: LINGER_MS,
    clock,
    log,
    random: () => PHASE_MS / POLL_MS,
    ...overrides({ clock, sources, log }),
  });
  const all: Snapshot[] = [];
  let taken = 0;
  (feeds satisfies Feeds).listen((snapshot) => all.push(snapshot));
  return {
    clock,
    sources,
    log,
    feeds,
    elapsed: () => clock.now() - startedAt,
    connect: (tenantId = "acme") => feeds.change({ tenantId, connections: 1 }),
    disconnect: (tenantId = "acme") => feeds.change({ tenantId, connections: -1 }),
    follow: (deviceIds, tenantId = "acme") =>
      feeds.change({
        tenantId,
        devices: deviceIds.map((deviceId) => ({ deviceId, latest: 1 })),
        first: { devices: deviceIds, alerts: false },
      }),
    unfollow: (deviceIds, tenantId = "acme") =>
      feeds.change({
        tenantId,
        devices: deviceIds.map((deviceId) => ({ deviceId, latest: -1 })),
      }),
    followEvery: (deviceIds, tenantId = "acme") =>
      feeds.change({
        tenantId,
        devices: deviceIds.map((deviceId) => ({ deviceId, latest: 0, every: 1 })),
        first: { devices: deviceIds, alerts: false },
      }),
    unfollowEvery: (deviceIds, tenantId = "acme") =>
      feeds.change({
        tenantId,
        devices: deviceIds.map((deviceId) => ({ deviceId, latest: 0, every: -1 })),
      }),
    followAlerts: (tenantId = "acme") =>
      feeds.change({ tenantId, alerts: 1, first: { devices: [], alerts: true } }),
    unfollowAlerts: (tenantId = "acme") => feeds.change({ tenantId, alerts: -1 }),
    take() {
      const fresh = all.slice(taken);
      taken = all.length;
      return fresh;
    },
    state: (deviceId) =>
      all.flatMap(({ devices }) => devices).findLast((state) => state.deviceId === deviceId),
    forget() {
      taken = all.length;
      sources.telemetryReads.length = 0;
      sources.alertReads.length = 0;
      sources.alertStateReads.length = 0;
      sources.historyReads.length = 0;
    },
  };
}

/** A source whose every read takes as long as it is told, and that notes when each began. */
export function timedSource(
  { clock, sources }: Parts,
  takesMs: number | ((query: LatestQuery) => number),
): TelemetrySource & { readonly beganAt: number[] } {
  const startedAt = clock.now();
  const beganAt: number[] = [];
  return {
    ...sources.telemetry,
    beganAt,
    async readLatest(query) {
      beganAt.push(clock.now() - startedAt);
      const result = await sources.telemetry.readLatest(query);
      const waitMs = typeof takesMs === "number" ? takesMs : takesMs(query);
      if (waitMs > 0) await new Promise<void>((resolve) => void clock.setTimeout(resolve, waitMs));
      return result;
    },
  };
}
