// The port to whatever database keeps telemetry; implementations read, and never decide when.
import type { Sample } from "../protocol/server_messages.ts";

export type { MetricValue, Sample } from "../protocol/server_messages.ts";

export interface LatestQuery {
  readonly tenantId: string;
  /** Distinct and not empty. They are data: any string of 1 to 128 bytes may stand here. */
  readonly deviceIds: readonly string[];
  readonly signal: AbortSignal;
}

export interface LatestResult {
  /** The newest sample of each device that has one within the lookback and the upper bound. */
  readonly samples: ReadonlyMap<string, Sample>;
  /** Devices whose stored data could not be understood, with the reason for the log; the others are not hit. */
  readonly unreadable: ReadonlyMap<string, string>;
}

export interface TelemetrySource {
  /**
   * Reads the newest sample of each device, in one query unless it would grow too long.
   * Throws SourceError; an aborted signal rejects with the signal's reason.
   */
  readLatest(query: LatestQuery): Promise<LatestResult>;
}
