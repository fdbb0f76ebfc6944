// All open alerts, and below them those that closed while this page was open.
import { useState } from "preact/hooks";
import { AlertItem } from "./alert_item.tsx";
import { type AlertOrder, sortAlerts } from "./alert_board.ts";
import type { Dashboard } from "./dashboard.ts";
import type { LiveTenant } from "./live_tenant.ts";
import { text } from "./strings.ts";

export interface AlertsViewProps {
  readonly live: LiveTenant;
  readonly dashboard: Dashboard;
}

/** More are put into the page when somebody asks for them. */
const PAGE = 100;

export function AlertsView({ live, dashboard }: AlertsViewProps) {
  const [order, setOrder] = useState<AlertOrder>("severity");
  const [limit, setLimit] = useState(PAGE);
  // Read for what it says: the board itself is no signal.
  void live.alertsVersion.value;
  const nowMs = dashboard.nowMs.value;
  const { open, closed } = live.alerts;
  const total = live.counts.value?.alerts?.open ?? null;
  const sorted = open === null ? [] : sortAlerts(open, order);
  const { alert } = text;
  return (
    <section class="alerts" data-old={!live.isArriving("alerts")} aria-labelledby="alerts-title">
      <div class="title">
        <h2 id="alerts-title">{text.counts.open}</h2>
        {open !== null && <span class="number">{(total ?? open.length).toLocaleString("en")}</span>}
        <div class="choice" role="group" aria-label={text.list.sort}>
          {([["severity", alert.bySeverity], ["age", alert.byAge]] as const).map((
            [value, label],
          ) => (
            <button
              key={value}
              type="button"
              aria-pressed={order === value}
              onClick={() => setOrder(value)}
            >
              {label}
            </button>
          ))}
        </div>
      </div>
      {open !== null && total !== null && total > open.length && (
        <p class="hint">{alert.truncated(open.length, total)}</p>
      )}
      {open === null
        ? (
          <div class="empty" role="status">
            <p>{alert.waiting}</p>
          </div>
        )
        : sorted.length === 0
        ? (
          <div class="empty">
            <p>{alert.none}</p>
            <p class="hint">{alert.noneHint}</p>
          </div>
        )
        : (
          <ol class="alert-list" aria-labelledby="alerts-title">
            {sorted.slice(0, limit).map((one) => (
              <AlertItem
                key={one.alert_id}
                alert={one}
                nowMs={nowMs}
                isNew={live.alerts.isNew(one.alert_id, nowMs)}
              />
            ))}
          </ol>
        )}
      {sorted.length > limit && (
        <button
          type="button"
          onClick={() => setLimit(limit + PAGE)}
        >
          {alert.more(Math.min(PAGE, sorted.length - limit))}
        </button>
      )}
      {closed.length > 0 && (
        <>
          <h3 id="closed-title">{alert.closed}</h3>
          <ol class="alert-list" aria-labelledby="closed-title">
            {closed.map(({ alert: one, closedMs }) => (
              <AlertItem key={one.alert_id} alert={one} nowMs={nowMs} closedMs={closedMs} />
            ))}
          </ol>
        </>
      )}
    </section>
  );
}
