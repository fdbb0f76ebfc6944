// Reads a tenant's open alerts, and what changed of them where somebody wants to know, and keeps what the last read said;
// a late answer never replaces a newer one.
import type { Clock } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import { type Frame, frameOf } from "../protocol/frame.ts";
import { instantOfMs } from "../protocol/nano_instant.ts";
import type { Alert } from "../protocol/server_messages.ts";
import type { AlertSource, AlertTableState } from "../sources/alert_source.ts";
import { areSameAlerts, compareAlerts, type KnownAlerts, knownAlerts } from "./compare_alerts.ts";
import type { AlertState, WholeAlerts } from "./seam.ts";

export interface AlertStatesOptions {
  readonly tenantId: string;
  readonly source: Pick<AlertSource, "readOpen" | "readState">;
  /** Greatest number of open alerts in one `alerts` message of the core protocol. */
  readonly maxAlerts: number;
  readonly maxOpenAlerts: number;
  /** Told of each read that found more open alerts than that. */
  readonly cut?: (source: "alerts") => void;
  readonly lateMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export type AlertCounts = NonNullable<AlertTableState["counts"]>;

/** What one read brought. */
export interface AlertNews {
  readonly state: AlertState;
  /** Null where only the core protocol's list was read. */
  readonly counts: AlertCounts | null;
}

interface Held extends AlertNews {
  readonly core: readonly Alert[];
}

/** The last whole read and what its followers know. */
interface Whole {
  readonly readAt: number;
  readonly number: number;
  readonly known: KnownAlerts;
}

/**
 * Greatest number of changes that one read brings, where fewer alerts than that may be open: what one interval, and the
 * time in which alerts may be noted late, brings of a plant that trips.
 */
export const MAX_CHANGED_ALERTS = 20_000;

interface StartedAlertRead {
  readonly seq: number;
  readonly readAt: number;
}

export class AlertStates {
  readonly #options: AlertStatesOptions;
  #held: Held | null = null;
  #whole: Whole | null = null;
  #isChangedTruncated = false;

  constructor(options: AlertStatesOptions) {
    this.#options = options;
  }

  /** Nobody needs more than the core protocol's list any more. */
  forgetWhole(): void {
    this.#whole = null;
  }

  /** Reads the core protocol's list. Null when a later read has said more; throws what the source throws. */
  async readCore(seq: number): Promise<AlertNews | null> {
    const { clock, maxAlerts, signal, source, tenantId } = this.#options;
    const start = { seq, readAt: clock.now() };
    const alerts = await source.readOpen({ tenantId, limit: maxAlerts, signal });
    if (this.#isSuperseded(start)) return null;
    return this.#hold(alerts, { start, whole: null, counts: null });
  }

  /** Reads all open alerts, what changed since the last such read, and the counts. Null and throws as `readCore`. */
  async readWhole(seq: number): Promise<AlertNews | null> {
    const { clock, cut, lateMs, maxAlerts, maxOpenAlerts, signal, source, tenantId } =
      this.#options;
    const start = { seq, readAt: clock.now() };
    // At the first read, too: what was closed just before it must not be told as new by the second.
    const changedSince = instantOfMs((this.#whole?.readAt ?? start.readAt) - lateMs);
    const limit = Math.max(maxAlerts, maxOpenAlerts);
    const changedLimit = Math.max(limit, MAX_CHANGED_ALERTS);
    const { open: alerts, changed, isChangedTruncated, counts } = await source.readState({
      tenantId,
      limit,
      changedSince,
      changedLimit,
      isCounted: true,
      signal,
    });
    if (this.#isSuperseded(start)) return null;
    this.#noteTruncated(isChangedTruncated, changedLimit);
    const open = alerts.slice(0, maxOpenAlerts);
    const total = counts?.total ?? alerts.length;
    if (total > open.length) cut?.("alerts");
    const before = this.#whole;
    const { known, changes } = before === null
      ? { known: knownAlerts({ open, changed }), changes: null }
      : compareAlerts(before.known, { open, changed, total, changedSince });
    const number = (before?.number ?? 0) + 1;
    this.#whole = { readAt: start.readAt, number, known };
    return this.#hold(alerts.slice(0, maxAlerts), {
      start,
      whole: { open, total, number, changes },
      counts,
    });
  }

  #noteTruncated(isTruncated: boolean, limit: number): void {
    const isTold = this.#isChangedTruncated;
    this.#isChangedTruncated = isTruncated;
    if (isTold || !isTruncated) return;
    const { log, tenantId } = this.#options;
    log.warning("alert_changes_truncated", { tenant: tenantId, limit });
  }

  #isSuperseded({ seq }: StartedAlertRead): boolean {
    return this.#held !== null && this.#held.state.seq > seq;
  }

  #hold(
    core: readonly Alert[],
    { start, whole, counts }: {
      readonly start: StartedAlertRead;
      readonly whole: WholeAlerts | null;
      readonly counts: AlertCounts | null;
    },
  ): AlertNews {
    const before = this.#held;
    const isSameCore = before !== null && areSameAlerts(before.core, core);
    const isSame = isSameCore && isSameWhole(before, { whole, counts });
    const version = isSame ? before.state.version : (before?.state.version ?? 0) + 1;
    const frame: Frame = isSameCore
      ? before.state.frame
      : frameOf({ type: "alerts", alerts: core });
    this.#held = { core, counts, state: { ...start, version, frame, whole } };
    return this.#held;
  }
}

/** Where either read did not look at more than the core list, nothing says that the rest changed. */
function isSameWhole(
  { state: { whole: before }, counts: countsBefore }: Held,
  { whole, counts }: { readonly whole: WholeAlerts | null; readonly counts: AlertCounts | null },
): boolean {
  if (before === null || whole === null) return true;
  return before.total === whole.total && areSameAlerts(before.open, whole.open) &&
    areSameCounts(countsBefore, counts);
}

function areSameCounts(one: AlertCounts | null, other: AlertCounts | null): boolean {
  if (one === null || other === null) return one === other;
  const severities = Object.keys(one.bySeverity);
  return severities.length === Object.keys(other.bySeverity).length &&
    severities.every((severity) => one.bySeverity[severity] === other.bySeverity[severity]);
}
