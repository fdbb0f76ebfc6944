// The port to whatever database keeps telemetry; implementations read, and never decide when.
import type { Sample } from "../protocol/server_messages.ts";

export type { MetricValue, Sample } from "../protocol/server_messages.ts";

export interface LatestQuery {
  readonly tenantId: string;
  /**
   * Distinct and not empty, or every device of the tenant that has a sample within the bounds. They are data: any
   * string of 1 to 128 bytes may stand here.
   */
  readonly deviceIds: readonly string[] | "all";
  readonly signal: AbortSignal;
}

export interface LatestResult {
  /** The newest sample of each device that has one within the lookback and the upper bound. */
  readonly samples: ReadonlyMap<string, Sample>;
  /** Devices whose stored data could not be understood, with the reason for the log; the others are not hit. */
  readonly unreadable: ReadonlyMap<string, string>;
}

export interface RangeQuery {
  readonly tenantId: string;
  /** Distinct and not empty; data, as in a query for the newest samples. */
  readonly deviceIds: readonly string[];
  readonly signal: AbortSignal;
  /** Whether a single client asks, beside the ticks. */
  readonly isAside?: boolean;
  /** Instant with nine digits; a sample must be later than this. */
  readonly after: string;
  /** Instant with nine digits; a sample must not be later than this, nor than the upper bound of every read. */
  readonly until: string;
  /** Most samples of one device, at least 1: the first in the order that is asked for. */
  readonly maxSamples: number;
  readonly order: "ascending" | "descending";
  /**
   * Whole seconds of a window, counted from the epoch; null for every sample as it is. A window is one sample whose
   * timestamp is its start (which may lie before `after`): each numeric metric's mean, the last value of the others.
   */
  readonly resolutionSeconds: number | null;
  /**
   * So many of each device's samples are left out first, in the order that is asked for; 0 where nothing is said. An
   * instant that a database holds twice, under two sites, may count as two.
   */
  readonly skipSamples?: number;
}

export interface RangeResult {
  /** Devices with samples in the range, each once, in the order that was asked for. */
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
  /** Devices that may have more samples in the range than they were allowed. */
  readonly truncated: ReadonlySet<string>;
  /** Devices some of whose data could not be understood, with the reason for the log; what could be is in `samples`. */
  readonly unreadable: ReadonlyMap<string, string>;
}

export interface DevicesQuery {
  readonly tenantId: string;
  /** At least 1. */
  readonly limit: number;
  readonly signal: AbortSignal;
  /** Whether a single client asks, beside the ticks. */
  readonly isAside?: boolean;
}

export interface KnownDevice {
  readonly device_id: string;
  /** When its newest sample was taken: UTC with nine fractional digits. */
  readonly last: string;
}

export interface DevicesResult {
  /** Those with a sample within the lookback and the upper bound, newest first. */
  readonly devices: readonly KnownDevice[];
  /** Whether there are more than the limit. */
  readonly truncated: boolean;
}

/** Every read throws SourceError; an aborted signal rejects with the signal's reason. */
export interface TelemetrySource {
  /** Reads the newest sample of each device, in one query unless it would grow too long. */
  readLatest(query: LatestQuery): Promise<LatestResult>;
  /** Reads the samples of each device between two instants, in one query unless it would grow too long. */
  readRange(query: RangeQuery): Promise<RangeResult>;
  /** Finds the tenant's devices. */
  listDevices(query: DevicesQuery): Promise<DevicesResult>;
}
