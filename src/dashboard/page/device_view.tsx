// One device: each of its metrics over time, going on live, and its alerts. What is old is shown as old.
import { useEffect, useState } from "preact/hooks";
import type { Alert } from "../../protocol/server_messages.ts";
import { levelOf, sortAlerts } from "./alert_board.ts";
import { AlertItem } from "./alert_item.tsx";
import type { Mark } from "./chart.ts";
import type { Dashboard } from "./dashboard.ts";
import type { DeviceFeed } from "./device_feed.ts";
import { formatAge, formatInstant } from "./format_time.ts";
import { type Health, healthOf } from "./health.ts";
import type { LiveTenant } from "./live_tenant.ts";
import { MetricChart } from "./metric_chart.tsx";
import { orderMetrics } from "./order_metrics.ts";
import { hashOf, RANGES, type Route } from "./route.ts";
import { SPANS } from "./span.ts";
import { StateStrip } from "./state_strip.tsx";
import { text } from "./strings.ts";
import { type TimeWindow, within } from "./time_window.ts";
import { ZoomTools } from "./zoom_tools.tsx";

type DeviceRoute = Extract<Route, { readonly view: "device" }>;

export interface DeviceViewProps {
  readonly live: LiveTenant;
  readonly dashboard: Dashboard;
  readonly route: DeviceRoute;
}

export function DeviceView({ live, dashboard, route: { deviceId, range } }: DeviceViewProps) {
  const [feed, setFeed] = useState<DeviceFeed | null>(null);
  const [zoomed, setZoomed] = useState<TimeWindow | null>(null);
  const span = SPANS[range];
  useEffect(() => {
    const opened = live.openDevice(deviceId, span);
    setFeed(opened);
    setZoomed(null);
    return () => opened[Symbol.dispose]();
  }, [live, deviceId, range]);

  const nowMs = dashboard.nowMs.value;
  const whole = { from: nowMs / 1_000 - span.seconds, to: nowMs / 1_000 };
  const window = zoomed === null ? whole : within(zoomed, whole) ?? whole;
  void live.alertsVersion.value;
  void feed?.version.value;
  const newest = feed?.series.newest ?? null;
  const ageMs = newest === null ? null : Math.max(0, nowMs - Date.parse(newest.timestamp));
  const health = ageMs === null ? null : healthOf({
    ageMs,
    paceMs: feed?.series.paceMs ?? null,
    staleMs: dashboard.config.value.stale_seconds * 1_000,
    isArriving: live.isArriving("telemetry"),
  });
  const openAlerts = (live.alerts.open ?? []).filter((alert) => alert.device_id === deviceId);
  return (
    <section class="device" aria-labelledby="device-title">
      <p class="back">
        <a href={hashOf({ view: "fleet" })}>{text.back}</a>
      </p>
      <div class="title">
        <h2 id="device-title">{deviceId}</h2>
        <Seen health={health} ageMs={ageMs} />
        <nav class="choice" aria-label={text.device.range}>
          {RANGES.map((one) => (
            <a
              key={one}
              href={hashOf({ view: "device", deviceId, range: one })}
              aria-current={one === range ? "true" : undefined}
            >
              {text.device.ranges[one]}
            </a>
          ))}
        </nav>
        <ZoomTools
          window={window}
          isZoomed={zoomed !== null}
          onChange={(wanted) => setZoomed(wanted === null ? null : within(wanted, whole))}
        />
      </div>
      <Notices feed={feed} nowMs={nowMs} />
      {feed !== null && (
        <Metrics
          feed={feed}
          window={window}
          nowMs={nowMs}
          isOld={health !== "live"}
          marks={marksOf(openAlerts, feed.closedAlerts.value, { live, deviceId, nowMs })}
          onSelect={(wanted) => setZoomed(within(wanted, whole))}
          onFollow={() => setZoomed(null)}
        />
      )}
      <section class="device-alerts" aria-labelledby="device-alerts-title">
        <h3 id="device-alerts-title">{text.device.alertsHere}</h3>
        {openAlerts.length === 0
          ? (
            <p class="hint">
              {live.alerts.open === null ? text.alert.waiting : text.device.noAlerts}
            </p>
          )
          : (
            <ol class="alert-list" data-old={!live.isArriving("alerts")}>
              {sortAlerts(openAlerts, "severity").map((alert) => (
                <AlertItem
                  key={alert.alert_id}
                  alert={alert}
                  nowMs={nowMs}
                  withDevice={false}
                  isNew={live.alerts.isNew(alert.alert_id, nowMs)}
                />
              ))}
            </ol>
          )}
      </section>
    </section>
  );
}

function Seen(
  { health, ageMs }: { readonly health: Health | null; readonly ageMs: number | null },
) {
  if (health === null || ageMs === null) return <p class="seen">{text.device.never}</p>;
  return (
    <p class="seen" data-health={health}>
      <span class="dot" aria-hidden="true" />
      {text.health[health]}
      <span class="age">{text.device.seen(formatAge(ageMs))}</span>
    </p>
  );
}

function Notices({ feed, nowMs }: { readonly feed: DeviceFeed | null; readonly nowMs: number }) {
  const missing = feed?.missingBefore.value ?? null;
  return (
    <>
      {feed?.state.value === "failed" && (
        <p class="note" role="status">{text.device.historyFailed}</p>
      )}
      {feed?.isIncomplete.value === true && <p class="note">{text.device.someLeftOut}</p>}
      {missing !== null && (
        <p class="note">{text.device.gap(formatInstant(Date.parse(missing), nowMs))}</p>
      )}
    </>
  );
}

interface MetricsProps {
  readonly feed: DeviceFeed;
  readonly window: TimeWindow;
  readonly nowMs: number;
  readonly isOld: boolean;
  readonly marks: readonly Mark[];
  readonly onSelect: (window: TimeWindow) => void;
  readonly onFollow: () => void;
}

function Metrics({ feed, window, nowMs, isOld, marks, onSelect, onFollow }: MetricsProps) {
  const { series } = feed;
  void feed.version.value;
  const known = Object.fromEntries(series.metrics());
  const { headline, others } = orderMetrics(known);
  const names = headline === null ? others : [headline, ...others];
  if (names.length === 0) {
    return feed.state.value === "ready"
      ? (
        <div class="empty">
          <p>{text.device.noHistory}</p>
          <p class="hint">{text.device.noHistoryHint}</p>
        </div>
      )
      : (
        <div class="empty" role="status">
          <p>{text.device.loading}</p>
        </div>
      );
  }
  const states = names.filter((name) => typeof known[name] !== "number");
  return (
    <>
      <div class="metrics">
        {names.filter((name) => typeof known[name] === "number").map((name) => (
          <MetricChart
            key={name}
            metric={name}
            line={series.line(name)}
            newest={series.newest === null ? known[name] : series.newest.metrics[name]}
            window={window}
            marks={marks}
            isOld={isOld}
            onSelect={onSelect}
            onFollow={onFollow}
          />
        ))}
      </div>
      {states.length > 0 && (
        <section class="states" aria-labelledby="states-title">
          <h3 id="states-title">{text.device.states}</h3>
          {states.map((name) => (
            <StateStrip
              key={name}
              metric={name}
              phases={series.phases(name)}
              newest={series.newest === null ? known[name] : series.newest.metrics[name]}
              window={window}
              nowMs={nowMs}
              isOld={isOld}
            />
          ))}
        </section>
      )}
    </>
  );
}

function marksOf(
  open: readonly Alert[],
  closed: readonly Alert[],
  { live, deviceId, nowMs }: { live: LiveTenant; deviceId: string; nowMs: number },
): readonly Mark[] {
  const seconds = (alert: Alert) => Date.parse(alert.created_at) / 1_000;
  const seenClosing = live.alerts.closed.filter(({ alert }) => alert.device_id === deviceId);
  const known = new Set([
    ...open.map(({ alert_id: id }) => id),
    ...seenClosing.map(({ alert }) => alert.alert_id),
  ]);
  return [
    ...closed.filter(({ alert_id: id }) => !known.has(id)).map((alert) => ({
      from: seconds(alert),
      to: null,
      level: levelOf(alert.severity),
    })),
    ...seenClosing.map(({ alert, closedMs }) => ({
      from: seconds(alert),
      to: closedMs / 1_000,
      level: levelOf(alert.severity),
    })),
    ...open.map((alert) => ({
      from: seconds(alert),
      to: nowMs / 1_000,
      level: levelOf(alert.severity),
    })),
  ];
}
