// The plain messages between connections and feeds: interest goes up, snapshots come down. They hold data only,
// so that they can be cloned to another thread or another node; no socket, no feed, no function may stand in them.
import type { Frame } from "../protocol/frame.ts";

/** A change of what one tenant's connections follow; counts are differences, positive or negative. */
export interface InterestChange {
  readonly tenantId: string;
  readonly connections?: number;
  readonly devices?: readonly DeviceInterest[];
  readonly alerts?: number;
  /** What a new follower has no young value of: the feed reads it at once instead of at its next tick. */
  readonly first?: { readonly devices: readonly string[]; readonly alerts: boolean };
}

export interface DeviceInterest {
  readonly deviceId: string;
  /** How many more, or fewer, follow the device's newest sample. */
  readonly latest: number;
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
  /** The newest sample's message; null when the database holds none within the bounds. */
  readonly frame: Frame | null;
}

/** What one read said of the tenant's open alerts. */
export interface AlertState {
  readonly seq: number;
  readonly readAt: number;
  readonly frame: Frame;
}

/** What a tick, or a first read between ticks, brought. What failed or was not read is not in it. */
export interface Snapshot {
  readonly tenantId: string;
  readonly cause: "tick" | "first";
  readonly devices: readonly DeviceState[];
  readonly alerts: AlertState | null;
}
