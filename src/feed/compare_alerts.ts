// What changed between two reads of a tenant's alerts. Pure: it must call nothing closed that is only out of sight, and
// tell of each alert once, though what changed lately is read again and again.
import type { Alert, AlertChanges } from "../protocol/server_messages.ts";
import type { AlertTableState } from "../sources/alert_source.ts";
import { isBehindEnd } from "./cut_list.ts";

/** What followers of changes have been told. */
export interface KnownAlerts {
  /** Those told to be open and not told to be closed since, as they were told last. */
  readonly open: ReadonlyMap<number, Alert>;
  /** Those of them that were within the list: who came since it was cut knows of no others. */
  readonly listed: ReadonlySet<number>;
  /** Those that were closed when the last read looked at what changed lately: they were told of, or were before it. */
  readonly closed: ReadonlySet<number>;
}

export interface ReadAlerts extends Pick<AlertTableState, "open" | "changed"> {
  /** Open alerts in all; more than `open` holds where that is cut. */
  readonly total: number;
  /** Instant with nine digits: `changed` has what was created or closed later. */
  readonly changedSince: string;
}

/**
 * Alerts that are known though they fell off a list that is cut. What a backend deletes, or closes without an instant, is
 * never said to be closed: where the list stays cut for good they would be ever more.
 */
const MAX_FALLEN = 20_000;

/** What is known where nothing was told before. */
export function knownAlerts({ open, changed }: Pick<ReadAlerts, "open" | "changed">): KnownAlerts {
  return {
    open: new Map(open.map((alert) => [alert.alert_id, alert])),
    listed: new Set(open.map(({ alert_id }) => alert_id)),
    closed: closedIn(changed),
  };
}

/** Compares a read with what is known; `changes` is null where nothing changed. */
export function compareAlerts(
  known: KnownAlerts,
  { open, changed, total, changedSince }: ReadAlerts,
): { readonly known: KnownAlerts; readonly changes: AlertChanges | null } {
  const opened: Alert[] = [];
  const updated: Alert[] = [];
  const next = new Map(open.map((alert) => [alert.alert_id, alert]));
  for (const alert of open) {
    const before = known.open.get(alert.alert_id);
    if (before === undefined) opened.push(alert);
    else if (!known.listed.has(alert.alert_id) || !isSameAlert(before, alert)) updated.push(alert);
  }
  const listed = new Set(next.keys());
  const isCut = total > open.length;
  const gone = closedIn(changed);
  const closed: number[] = [];
  for (const [alertId, alert] of known.open) {
    if (next.has(alertId)) continue;
    if (!isCut || gone.has(alertId) || !isBehindEnd(alert, open)) closed.push(alertId);
    // Those that fell last come first.
    else if (next.size < open.length + MAX_FALLEN) next.set(alertId, alert);
  }
  for (const { alert, isOpen } of changed) {
    const { alert_id, created_at } = alert;
    const isNews = !known.open.has(alert_id) && !known.closed.has(alert_id) && !next.has(alert_id);
    if (isOpen || !isNews || !isSince(created_at, changedSince)) continue;
    opened.push(alert);
    closed.push(alert_id);
  }
  const isChanged = opened.length + updated.length + closed.length > 0;
  return {
    known: { open: next, listed, closed: gone },
    changes: isChanged ? { opened, updated, closed } : null,
  };
}

function isSameAlert(one: Alert, other: Alert): boolean {
  return (Object.keys(one) as (keyof Alert)[]).every((name) => one[name] === other[name]);
}

export function areSameAlerts(one: readonly Alert[], others: readonly Alert[]): boolean {
  return one.length === others.length && one.every((alert, index) => {
    const other = others[index];
    return other !== undefined && isSameAlert(alert, other);
  });
}

function closedIn(changed: ReadAlerts["changed"]): ReadonlySet<number> {
  return new Set(changed.filter(({ isOpen }) => !isOpen).map(({ alert }) => alert.alert_id));
}

/** The table holds microseconds: one that the instant lies within may have come after it. */
function isSince(createdAt: string, changedSince: string): boolean {
  return createdAt.slice(0, 26) >= changedSince.slice(0, 26);
}
