// The plain messages between connections and feeds: interest goes up, snapshots come down, questions are answered. They
// hold data only, so that they can be cloned to another thread or another node; no socket, no feed, no function may
// stand in them.
import type { Frame } from "../protocol/frame.ts";
import type { Alert, AlertChanges, Sample, SourceName } from "../protocol/server_messages.ts";

/** A change of what one tenant's connections follow; counts are differences, positive or negative. */
export interface InterestChange {
  readonly tenantId: string;
  /** When it was asked for, in milliseconds since the epoch; now where nothing is said. */
  readonly at?: number;
  /** Of a worker's changes, which rise: by it the worker knows what was delivered before the other side heard of it. */
  readonly number?: number;
  readonly connections?: number;
  readonly devices?: readonly DeviceInterest[];
  /** Who follows every device of the tenant. */
  readonly all?: Following;
  /** Who is sent the core protocol's list of open alerts. */
  readonly alerts?: number;
  /** Who needs more of them than that list holds: what changed, or the alerts of some devices. */
  readonly alertChanges?: number;
  readonly fleet?: number;
  /** What a new follower has no young value of: the feed reads it at once instead of at its next tick. */
  readonly first?: {
    readonly devices: readonly string[];
    readonly all?: boolean;
    readonly alerts: boolean;
    readonly fleet?: boolean;
  };
}

export interface Following {
  /** How many more, or fewer, follow the newest sample. */
  readonly latest: number;
  /** How many more, or fewer, follow every stored sample; none where nothing is said. */
  readonly every?: number;
}

export interface DeviceInterest extends Following {
  readonly deviceId: string;
}

/** What one read said of one device. */
export interface DeviceState {
  readonly deviceId: string;
  /** The read that said it; rises with every read of the tenant. Of two states the later read's counts, whichever comes first. */
  readonly seq: number;
  /** When that read began, in milliseconds since the epoch. */
  readonly readAt: number;
  /** Rises when the timestamp or a metric changed; 0 until the device has had a sample. */
  readonly version: number;
  /** The newest sample; null when the database holds none within the bounds. */
  readonly sample: Sample | null;
  /** Whether the newest sample was older than `STALE_SECONDS` when it was read, or there was none. */
  readonly isStale: boolean;
  /** The newest sample's message; null when there is none. */
  readonly frame: Frame | null;
}

/** A stored sample on its way to all who follow every one. */
export interface StoredSample {
  readonly sample: Sample;
  readonly frame: Frame;
  /** When the read that found it began, in milliseconds since the epoch. */
  readonly readAt: number;
}

/** What one read found of one device that it had not found before, for those who follow every sample. */
export interface DeviceBatch {
  readonly deviceId: string;
  /** The number of the batch; each follows the one before it. The first one a feed makes of a device holds no samples. */
  readonly number: number;
  readonly readAt: number;
  /** Ascending. */
  readonly samples: readonly StoredSample[];
  /** Instant with nine digits: no later batch holds a sample that is as old as this or older. */
  readonly floor: string;
  /** Ascending timestamps later than the floor that are not new to who begins with this batch; of no other batch. */
  readonly seen?: readonly string[];
}

/** What one read said of the tenant's open alerts. */
export interface AlertState {
  readonly seq: number;
  readonly readAt: number;
  /** Rises when the list or a count changed. */
  readonly version: number;
  /** The core protocol's message. */
  readonly frame: Frame;
  /** More than that message holds, while anybody's interest asks for it; null otherwise. */
  readonly whole: WholeAlerts | null;
}

export interface WholeAlerts {
  /** The open alerts, newest first, up to `MAX_OPEN_ALERTS`. */
  readonly open: readonly Alert[];
  /** Open alerts in all. */
  readonly total: number;
  /** The number of this state's changes; each follows the one before it. The first one a feed makes has none. */
  readonly number: number;
  /** What changed since the whole state before this one; null where nothing did. */
  readonly changes: AlertChanges | null;
}

/** The tenant's fleet at one read. */
export interface FleetState {
  readonly seq: number;
  readonly readAt: number;
  /** Rises when a count changed. */
  readonly version: number;
  readonly frame: Frame;
}

/** How a source serves this tenant. */
export interface SourceStatus {
  readonly source: SourceName;
  readonly state: "ok" | "degraded";
  /** Since when, in milliseconds since the epoch. */
  readonly since: number;
  /** When it is tried again, in milliseconds since the epoch; null unless degraded. */
  readonly retryAt: number | null;
}

/** What a tick, or a first read between ticks, brought. What failed or was not read is not in it. */
export interface Snapshot {
  readonly tenantId: string;
  readonly cause: "tick" | "first";
  readonly devices: readonly DeviceState[];
  readonly batches: readonly DeviceBatch[];
  readonly alerts: AlertState | null;
  readonly fleet: FleetState | null;
  /** When the last read of all devices began that is in it, in milliseconds since the epoch; null where none is. */
  readonly allReadAt: number | null;
  /** Sources whose state or next attempt changed, or that are degraded when the tenant's feed first learns of it. */
  readonly statuses: readonly SourceStatus[];
}

/** Samples of some devices of a tenant, each after an instant of its own. */
export interface HistoryQuestion {
  readonly tenantId: string;
  /** Device → instant with nine digits; samples later than it are asked for. Not empty. */
  readonly after: ReadonlyMap<string, string>;
  /** Seconds of a window, or null for the samples as they are stored. */
  readonly resolutionSeconds: number | null;
  readonly signal: AbortSignal;
}

export interface HistoryPage {
  /** Ascending; may be empty though there is more. */
  readonly samples: readonly Sample[];
  /** Whether the device had nothing later when it was read. */
  readonly isLast: boolean;
  /** When the read began, in milliseconds since the epoch. */
  readonly readAt: number;
}

export interface AlertHistoryQuestion {
  readonly tenantId: string;
  /** Instant with nine digits. */
  readonly since: string;
  readonly signal: AbortSignal;
}

export interface AlertHistory {
  /** Alerts that were created after the instant and are closed again, oldest first. */
  readonly passed: readonly Alert[];
  /** Ids of all alerts that were closed after the instant. */
  readonly closed: readonly number[];
  /** Whether there were more than one read brings. */
  readonly isTruncated: boolean;
}

/**
 * Every answer is read from the database; a question throws HistoryError while the source can't say, and its signal's
 * reason when that aborts.
 */
export interface Histories {
  /**
   * The next samples of each device: as many as one read bears. Those asked of one tenant within 50 ms, or before their
   * read's turn has come, share a read. A device that can't be read now has no page, where another has one. Windows
   * begin with the whole one that the instant lies in: the next page is asked for after the end of the last one.
   */
  page(question: HistoryQuestion): Promise<ReadonlyMap<string, HistoryPage>>;
  /**
   * For each device that has more samples after its instant than `MAX_HISTORY_SAMPLES` allows: the instant after which
   * only so many are left.
   */
  earliest(question: HistoryQuestion): Promise<ReadonlyMap<string, string>>;
  alerts(question: AlertHistoryQuestion): Promise<AlertHistory>;
}
