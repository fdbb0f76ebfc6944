// The open alerts and those that closed a moment ago; what is shown as open is only what the service says is open.
import type { Alert, AlertChanges } from "../../protocol/server_messages.ts";

export interface ClosedAlert {
  readonly alert: Alert;
  readonly closedMs: number;
}

export type AlertOrder = "severity" | "age";

const KEEP_CLOSED_MS = 600_000;
const MAX_CLOSED = 50;
const NEW_MS = 6_000;

export class AlertBoard {
  #open: readonly Alert[] | null = null;
  #closed: readonly ClosedAlert[] = [];
  readonly #arrivedMs = new Map<number, number>();

  /** Null until the first list came. */
  get open(): readonly Alert[] | null {
    return this.#open;
  }

  get closed(): readonly ClosedAlert[] {
    return this.#closed;
  }

  /** `change` is null for a whole list that nothing is known before. */
  receive(open: readonly Alert[], change: AlertChanges | null, nowMs: number): void {
    const known = new Map((this.#open ?? []).map((alert) => [alert.alert_id, alert]));
    for (const alert of change?.opened ?? []) {
      known.set(alert.alert_id, alert);
      this.#arrivedMs.set(alert.alert_id, nowMs);
    }
    const stillOpen = new Set(open.map(({ alert_id: id }) => id));
    const closed = (change?.closed ?? []).flatMap((id) => {
      const alert = known.get(id);
      this.#arrivedMs.delete(id);
      return alert === undefined || stillOpen.has(id) ? [] : [{ alert, closedMs: nowMs }];
    });
    this.#open = open;
    this.#closed = [
      ...closed,
      ...this.#closed.filter(({ alert, closedMs }) =>
        !stillOpen.has(alert.alert_id) && nowMs - closedMs < KEEP_CLOSED_MS
      ),
    ].slice(0, MAX_CLOSED);
  }

  isNew(alertId: number, nowMs: number): boolean {
    return nowMs - (this.#arrivedMs.get(alertId) ?? Number.NEGATIVE_INFINITY) < NEW_MS;
  }
}

export function sortAlerts(alerts: readonly Alert[], order: AlertOrder): readonly Alert[] {
  const newestFirst = (a: Alert, b: Alert) =>
    a.created_at === b.created_at ? b.alert_id - a.alert_id : a.created_at < b.created_at ? 1 : -1;
  return alerts.toSorted((a, b) =>
    order === "age"
      ? newestFirst(a, b)
      : (b.severity ?? -1) - (a.severity ?? -1) || newestFirst(a, b)
  );
}

export type AlertLevel = "high" | "middle" | "low" | "note" | "unknown";

export function levelOf(severity: number | null): AlertLevel {
  if (severity === null) return "unknown";
  if (severity >= 4) return "high";
  return severity >= 3 ? "middle" : severity >= 2 ? "low" : "note";
}
