// What the keeper and its workers ask and tell each other. Plain data only, that JSON leaves as it is.
import type { FetchedKeys } from "../auth/key_set.ts";
import type { Scope } from "../auth/scope.ts";
import type { AlertHistory, HistoryPage, InterestChange } from "../feed/seam.ts";
import type { ReadinessReport } from "../http/readiness.ts";
import type { RestReads, SourceStates } from "../http/rest_reads.ts";
import type { FeedState } from "../http/stream_status.ts";
import type { LimitName } from "../limits/limits.ts";
import type { TakenBy } from "../limits/seats.ts";
import type { LogLevel } from "../observe/log.ts";
import type { TenantUsage } from "../observe/metrics.ts";
import type { MetricFamilies } from "../observe/merged_metrics.ts";
import type { SnapshotParcel } from "./snapshot_parcel.ts";

type Read<Name extends "devices" | "latest" | "samples" | "alerts"> = readonly [
  asked: Omit<Parameters<RestReads[Name]>[0], "signal">,
  answered: Awaited<ReturnType<RestReads[Name]>>,
];

/** Of a question about the past; its Map as pairs. */
export interface PastOf {
  readonly tenantId: string;
  readonly after: readonly (readonly [deviceId: string, instant: string])[];
  readonly resolutionSeconds: number | null;
}

/** What one tenant has open in one worker. */
export interface WorkerUsage extends Omit<TenantUsage, "tenantId"> {
  readonly mostDevices: number;
}

/** What workers ask of the keeper. A seat has a number that means something to its worker only. */
export interface KeeperQuestions {
  readonly takeSeat: readonly [address: string, number | LimitName];
  readonly claimSeat: readonly [{ readonly seat: number; readonly scope: Scope }, LimitName | null];
  readonly leaveSeat: readonly [seat: number, void];
  readonly seatsTaken: readonly [Scope, TakenBy];
  readonly enterRefused: readonly [null, boolean];
  readonly leaveRefused: readonly [null, void];
  readonly issueTicket: readonly [Scope, string];
  readonly redeemTicket: readonly [ticket: string, Scope | null];
  readonly rateHandshake: readonly [address: string, number];
  readonly rateRequest: readonly [tenantId: string, number];
  readonly changeInterest: readonly [InterestChange, void];
  readonly pageOfPast: readonly [PastOf, readonly (readonly [string, HistoryPage])[]];
  readonly earliestOfPast: readonly [PastOf, readonly (readonly [string, string])[]];
  readonly pastAlerts: readonly [
    { readonly tenantId: string; readonly since: string },
    AlertHistory,
  ];
  readonly listDevices: readonly [tenantId: string, readonly string[]];
  /** Has the issuer's keys fetched again where they are too old. What was fetched is told before the answer. */
  readonly refreshKeys: readonly [null, null];
  /** Has keys fetched that are newer than those of this number, where the cooldown lets it; told before the answer, too. */
  readonly newerKeys: readonly [number, null];
  readonly sourceStates: readonly [null, SourceStates];
  readonly readDevices: Read<"devices">;
  readonly readLatest: Read<"latest">;
  readonly readSamples: Read<"samples">;
  readonly readAlerts: Read<"alerts">;
  readonly tenantUsage: readonly [tenantId: string, WorkerUsage];
  readonly feedState: readonly [tenantId: string, FeedState | null];
  readonly readiness: readonly [null, ReadinessReport];
  readonly metricsText: readonly [null, string];
  /** Whether every worker answers. */
  readonly alive: readonly [null, boolean];
  readonly log: readonly [{ readonly level: LogLevel; readonly line: string }, void];
}

/** What the keeper asks of a worker. `Start` is what a worker needs to begin. */
export interface WorkerQuestions<Start = unknown> {
  readonly start: readonly [Start, null];
  readonly takeSnapshot: readonly [SnapshotParcel, void];
  readonly takeKeys: readonly [FetchedKeys, void];
  readonly usageOf: readonly [tenantId: string, WorkerUsage];
  readonly metrics: readonly [null, MetricFamilies];
  /** Lets nobody in any more, closes every socket and ends the listening. */
  readonly leave: readonly [{ readonly withinMs: number }, null];
  readonly ping: readonly [null, null];
}
