// The open alerts as one listener knows them: whatever the service sends, whole lists or changes, again or late, becomes
// what is new to this listener. It must never tell an opening or a closing twice.
import type { Alert, AlertChanges } from "../protocol/server_messages.ts";

/** Ids of closed alerts that are remembered: what a resume repeats is seconds old. */
const MAX_CLOSED = 2_000;

export class AlertBook {
  readonly #open = new Map<number, Alert>();
  readonly #closed = new Set<number>();
  #isFilled = false;

  /** Whether a whole list was read. */
  get isFilled(): boolean {
    return this.#isFilled;
  }

  /** Newest first. */
  get open(): readonly Alert[] {
    return [...this.#open.values()].sort(newestFirst);
  }

  /**
   * A whole list; null where it is the first one, or says nothing new. `cutAfter` is the last alert of a list that was
   * cut: what lies beyond it may still be open.
   */
  list(
    alerts: readonly Alert[],
    { cutAfter }: { readonly cutAfter: Alert | null },
  ): AlertChanges | null {
    const listed = new Set(alerts.map((alert) => alert.alert_id));
    const closed = [...this.#open.values()].filter((alert) =>
      !listed.has(alert.alert_id) && (cutAfter === null || newestFirst(alert, cutAfter) <= 0)
    ).map((alert) => alert.alert_id);
    const changes = this.changes({ opened: alerts, updated: [], closed });
    if (this.#isFilled) return changes;
    this.#isFilled = true;
    return null;
  }

  /** Changes; null where they say nothing new. */
  changes({ opened, updated, closed }: AlertChanges): AlertChanges | null {
    const news = { opened: [] as Alert[], updated: [] as Alert[], closed: [] as number[] };
    const closing = new Set(closed);
    for (const alert of [...opened, ...updated]) {
      const known = this.#open.get(alert.alert_id);
      if (known === undefined && this.#closed.has(alert.alert_id)) {
        // One that came and went is repeated; one that stays open was opened again.
        if (closing.has(alert.alert_id)) continue;
        this.#closed.delete(alert.alert_id);
      }
      if (known === undefined) news.opened.push(alert);
      else if (!isSame(known, alert)) news.updated.push(alert);
      this.#open.set(alert.alert_id, alert);
    }
    for (const id of closed) {
      if (!this.#open.delete(id)) continue;
      news.closed.push(id);
      this.#closed.add(id);
    }
    for (const id of this.#closed) {
      if (this.#closed.size <= MAX_CLOSED) break;
      this.#closed.delete(id);
    }
    const isNew = news.opened.length + news.updated.length + news.closed.length > 0;
    return isNew ? news : null;
  }
}

function newestFirst(one: Alert, other: Alert): number {
  if (one.created_at !== other.created_at) return one.created_at < other.created_at ? 1 : -1;
  return other.alert_id - one.alert_id;
}

function isSame(one: Alert, other: Alert): boolean {
  const names = Object.keys(one) as (keyof Alert)[];
  return names.every((name) => one[name] === other[name]);
}
