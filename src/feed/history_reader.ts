// Answers what single subscriptions ask of the past: many askers, few reads. It reads nothing that nobody waits for, and
// a question that goes far back must not make the others' read long.
import type { Clock } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import { instantOfMs } from "../protocol/nano_instant.ts";
import type { SourceName } from "../protocol/server_messages.ts";
import type { SideAnswer, SideQuery, SideRanges, SideReads } from "../sources/side_reads.ts";
import { SourceError } from "../sources/source_error.ts";
import type { RangeResult } from "../sources/telemetry_source.ts";
import { HistoryError } from "./history_error.ts";
import { HistoryGroup } from "./history_group.ts";
import { lowerBound, nextWindow } from "./history_window.ts";
import type {
  AlertHistory,
  AlertHistoryQuestion,
  Histories,
  HistoryPage,
  HistoryQuestion,
} from "./seam.ts";

export interface HistoryReaderOptions {
  readonly reads: Pick<SideReads, "ranges" | "alertState">;
  readonly clock: Clock;
  readonly log: Log;
  readonly futureMs: number;
  /** Most samples of one device that one answer goes back. */
  readonly historySamples: number;
  readonly maxOpenAlerts: number;
}

interface Asked {
  readonly tenantId: string;
  readonly source: SourceName;
}

/** How long a question waits for others that can share its read. */
const GATHER_MS = 50;
/** So many more in that time are a rush, as when everybody comes back at once: they gather on until it is over. */
const RUSH_QUESTIONS = 5;
/** But not for longer than this. */
const MAX_RUSH_MS = 250;
/** How long it waits at most, where the read before it takes its time. */
const MAX_GATHER_MS = 1_000;
/** A tenant whose questions go on and on is read for half of the time, but none of them waits for longer than this. */
const MAX_PAUSE_MS = 500;
/** Samples that a database is made to pass over in one read; each device costs as many as a history may hold. */
const MAX_SKIPPED = 200_000;
/** Where nobody knows better. */
const RETRY_MS = 5_000;
/** One tenant's refused queries are logged once in so long. */
const REFUSAL_LOG_MS = 300_000;

export class HistoryReader implements Histories {
  readonly #options: HistoryReaderOptions;
  /** Groups that still gather, by tenant and windows. */
  readonly #gathering = new Map<string, HistoryGroup>();
  /** The newest group that is being read, and the one that waits for it. */
  readonly #running = new Map<string, HistoryGroup>();
  readonly #late = new Map<string, HistoryGroup>();
  /** Sources and tenants whose queries are refused, and until when the log has said enough of it. */
  readonly #refused = new Map<string, number>();

  constructor(options: HistoryReaderOptions) {
    this.#options = options;
  }

  async page(question: HistoryQuestion): Promise<ReadonlyMap<string, HistoryPage>> {
    question.signal.throwIfAborted();
    const { tenantId, resolutionSeconds } = question;
    // A tenant's id holds no space: no two keys are one.
    const key = `${resolutionSeconds ?? "raw"} ${tenantId}`;
    const group = this.#gathering.get(key) ?? this.#gather(key, question);
    return await group.ask(question);
  }

  async earliest(question: HistoryQuestion): Promise<ReadonlyMap<string, string>> {
    const { historySamples } = this.#options;
    const { tenantId, resolutionSeconds, signal } = question;
    const bounds = [...question.after]
      .map(([deviceId, after]) => ({ deviceId, after: lowerBound(after, resolutionSeconds) }))
      .sort((a, b) => a.after < b.after ? -1 : 1);
    const found = new Map<string, string>();
    const size = Math.max(1, Math.floor(MAX_SKIPPED / historySamples));
    for (let start = 0; start < bounds.length; start += size) {
      const chunk = bounds.slice(start, start + size);
      const { samples } = await this.#orRefusal(
        { tenantId, source: "telemetry" },
        this.#ranges({ tenantId, signal }, () => ({
          deviceIds: chunk.map(({ deviceId }) => deviceId),
          after: chunk[0]?.after ?? "",
          maxSamples: 1,
          order: "descending",
          resolutionSeconds,
          skipSamples: historySamples,
        })),
      );
      for (const { deviceId, after } of chunk) {
        const timestamp = samples.get(deviceId)?.[0]?.timestamp;
        if (timestamp === undefined || timestamp <= after) continue;
        found.set(
          deviceId,
          resolutionSeconds === null ? timestamp : nextWindow(timestamp, resolutionSeconds),
        );
      }
    }
    return found;
  }

  async alerts({ tenantId, since, signal }: AlertHistoryQuestion): Promise<AlertHistory> {
    signal.throwIfAborted();
    const { reads, maxOpenAlerts } = this.#options;
    const query = {
      tenantId,
      limit: maxOpenAlerts,
      changedSince: since,
      changedLimit: maxOpenAlerts,
      isCounted: false,
      signal,
    };
    const { changed, isChangedTruncated } = valueOf(
      await this.#orRefusal({ tenantId, source: "alerts" }, reads.alertState(query)),
    );
    const isLater = (instant: string) => `${instant.slice(0, -1)}000Z` > since;
    // The database compares whole microseconds, and so may say one that changed a little before.
    const closed = changed.filter(({ alert, isOpen, closedAt }) =>
      !isOpen && (closedAt === null || isLater(closedAt) || isLater(alert.created_at))
    ).map(({ alert }) => alert);
    return {
      passed: closed.filter(({ created_at }) => isLater(created_at)),
      closed: closed.map(({ alert_id }) => alert_id),
      isTruncated: isChangedTruncated,
    };
  }

  #gather(key: string, { tenantId, resolutionSeconds }: HistoryQuestion): HistoryGroup {
    const { clock } = this.#options;
    const group = new HistoryGroup({
      resolutionSeconds,
      clock,
      read: ({ query, signal }) =>
        this.#ranges({ tenantId, signal }, () => ({
          ...query(),
          resolutionSeconds,
          order: "ascending",
        })),
      refused: (error) => this.#refusal({ tenantId, source: "telemetry" }, error),
    });
    this.#gathering.set(key, group);
    this.#gatherOn(key, { group, leftMs: MAX_RUSH_MS });
    return group;
  }

  #gatherOn(
    key: string,
    { group, leftMs }: { readonly group: HistoryGroup; readonly leftMs: number },
  ): void {
    const before = group.questions;
    this.#options.clock.setTimeout(() => {
      const left = leftMs - GATHER_MS;
      const isRush = group.questions - before >= RUSH_QUESTIONS;
      if (isRush && left >= GATHER_MS) this.#gatherOn(key, { group, leftMs: left });
      else this.#due(key, group);
    }, GATHER_MS);
  }

  /** Runs a group, or lets it gather on while the one before it is being read: the slower reads are, the fewer they get. */
  #due(key: string, group: HistoryGroup): void {
    if (!this.#running.has(key)) {
      void this.#run(key, group);
      return;
    }
    this.#late.set(key, group);
    // Not for as long as somebody far back may need.
    this.#runLate(key, { group, delayMs: MAX_GATHER_MS - GATHER_MS });
  }

  /** Lets a group be read in its turn; until then it gathers on. */
  async #run(key: string, group: HistoryGroup): Promise<void> {
    const { clock } = this.#options;
    this.#late.delete(key);
    this.#running.set(key, group);
    let beganAt = clock.monotonicNow();
    await group.run(() => {
      if (this.#gathering.get(key) !== group) return;
      this.#gathering.delete(key);
      beganAt = clock.monotonicNow();
    });
    if (this.#running.get(key) !== group) return;
    const late = this.#late.get(key);
    if (late === undefined) {
      this.#running.delete(key);
      return;
    }
    // Who comes back with many others costs less the more of them share a read.
    const tookMs = clock.monotonicNow() - beganAt;
    this.#runLate(key, { group: late, delayMs: Math.min(MAX_PAUSE_MS, tookMs) });
  }

  #runLate(
    key: string,
    { group, delayMs }: { readonly group: HistoryGroup; readonly delayMs: number },
  ): void {
    this.#options.clock.setTimeout(() => {
      if (this.#late.get(key) === group) void this.#run(key, group);
    }, delayMs);
  }

  async #ranges(side: SideQuery, query: () => Omit<SideRanges, "until">): Promise<RangeResult> {
    const { reads, clock, futureMs } = this.#options;
    const answer = await reads.ranges(
      side,
      () => ({ ...query(), until: instantOfMs(clock.now() + futureMs) }),
    );
    return valueOf(answer);
  }

  async #orRefusal<Value>(asked: Asked, answer: Promise<Value>): Promise<Value> {
    try {
      return await answer;
    } catch (error) {
      throw error instanceof SourceError ? this.#refusal(asked, error) : error;
    }
  }

  /** A query that is refused is a fault of ours or of what is stored, and no reason to end anybody's connection. */
  #refusal({ tenantId, source }: Asked, error: SourceError): HistoryError {
    const { clock, log } = this.#options;
    const now = clock.monotonicNow();
    for (const [key, until] of this.#refused) if (until <= now) this.#refused.delete(key);
    const key = `${source} ${tenantId}`;
    if (!this.#refused.has(key)) {
      this.#refused.set(key, now + REFUSAL_LOG_MS);
      log.warning("read_failed", { source, tenant: tenantId, kind: error.kind, error });
    }
    return new HistoryError("The source refuses the question", {
      retryAfterMs: RETRY_MS,
      cause: error,
    });
  }
}

function valueOf<Value>(answer: SideAnswer<Value>): Value {
  if (answer.ok) return answer.value;
  const { refusal, retryAfterMs } = answer;
  throw new HistoryError(`The source can't be read now: ${refusal}`, { retryAfterMs });
}
