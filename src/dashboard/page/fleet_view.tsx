// The fleet: what is counted, and every device by its newest sample. It follows all devices while it is seen, with one
// subscription however many there are.
import { useEffect, useMemo, useState } from "preact/hooks";
import type { Dashboard } from "./dashboard.ts";
import { describeMetric } from "./describe_metric.ts";
import { DeviceList } from "./device_list.tsx";
import { type FleetOrder, type FleetShow, listFleet } from "./fleet_filter.ts";
import type { LiveTenant } from "./live_tenant.ts";
import { text } from "./strings.ts";

export interface FleetViewProps {
  readonly live: LiveTenant;
  readonly dashboard: Dashboard;
}

export function FleetView({ live, dashboard }: FleetViewProps) {
  const [search, setSearch] = useState("");
  const [show, setShow] = useState<FleetShow>("all");
  const [order, setOrder] = useState<FleetOrder>("name");
  useEffect(() => live.watchFleet(), [live]);

  const version = live.fleetVersion.value;
  const alertsVersion = live.alertsVersion.value;
  const nowMs = dashboard.nowMs.value;
  const isArriving = live.isArriving("telemetry");
  const staleMs = dashboard.config.value.stale_seconds * 1_000;
  const rows = useMemo(() => live.fleet.rows(), [live, version]);
  const alerts = useMemo(() => countByDevice(live), [live, alertsVersion]);
  const listed = listFleet(rows, { search, show, order }, { nowMs, staleMs, isArriving, alerts });
  const counts = live.counts.value;
  const isEmpty = rows.length === 0;
  const isKnownEmpty = isEmpty && counts?.devices?.total === 0;
  const clear = () => {
    setSearch("");
    setShow("all");
  };
  const { list } = text;
  return (
    <section class="fleet" aria-labelledby="fleet-title">
      <h2 id="fleet-title" class="unseen">{text.fleet}</h2>
      <Counts live={live} show={show} onShow={setShow} />
      <div class="tools">
        <label class="search">
          <span class="unseen">{list.search}</span>
          <input
            type="search"
            placeholder={list.search}
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        </label>
        <label>
          <span>{list.show}</span>
          <select
            value={show}
            onChange={(event) => setShow(event.currentTarget.value as FleetShow)}
          >
            <option value="all">{list.all}</option>
            <option value="online">{list.onlyOnline}</option>
            <option value="stale">{list.onlyStale}</option>
            <option value="alerts">{list.onlyAlerts}</option>
          </select>
        </label>
        <label>
          <span>{list.sort}</span>
          <select
            value={order}
            onChange={(event) => setOrder(event.currentTarget.value as FleetOrder)}
          >
            <option value="name">{list.byName}</option>
            <option value="trouble">{list.byTrouble}</option>
          </select>
        </label>
        <MetricChoice live={live} />
        <p class="shown" role="status">
          {isEmpty ? "" : list.shown(listed.length, rows.length)}
        </p>
      </div>
      {isEmpty
        ? (
          <div class="empty" role="status">
            <p>{isKnownEmpty ? list.none : list.waiting}</p>
            {isKnownEmpty && <p class="hint">{list.noneHint}</p>}
          </div>
        )
        : listed.length === 0
        ? (
          <div class="empty">
            <p>{list.noMatch}</p>
            <button type="button" onClick={clear}>{list.clear}</button>
          </div>
        )
        : <DeviceList live={live} listed={listed} nowMs={nowMs} />}
    </section>
  );
}

function Counts(
  { live, show, onShow }: {
    readonly live: LiveTenant;
    readonly show: FleetShow;
    readonly onShow: (show: FleetShow) => void;
  },
) {
  const counts = live.counts.value;
  const { devices = null, alerts = null } = counts ?? {};
  const tiles: readonly [FleetShow, string, number | null, string, boolean][] = [
    ["all", text.counts.devices, devices?.total ?? null, "", live.isArriving("telemetry")],
    ["online", text.counts.online, devices?.online ?? null, "good", live.isArriving("telemetry")],
    ["stale", text.counts.stale, devices?.stale ?? null, "warning", live.isArriving("telemetry")],
    ["alerts", text.counts.open, alerts?.open ?? null, "bad", live.isArriving("alerts")],
  ];
  return (
    <div class="counts" role="group" aria-label={text.counts.label}>
      {tiles.map(([value, label, count, tone, isLive]) => (
        <button
          key={value}
          type="button"
          class="count"
          data-tone={count !== null && count > 0 ? tone : ""}
          data-old={!isLive}
          aria-pressed={show === value}
          onClick={() => onShow(show === value ? "all" : value)}
        >
          <span class="number">{count === null ? "–" : count.toLocaleString("en")}</span>
          <span class="label">{label}</span>
        </button>
      ))}
    </div>
  );
}

function MetricChoice({ live }: { readonly live: LiveTenant }) {
  const { list } = text;
  return (
    <label>
      <span>{list.metric}</span>
      <select
        value={live.fleet.metric ?? ""}
        onChange={(event) => live.showMetric(event.currentTarget.value || null)}
      >
        <option value="">{list.headline}</option>
        {live.fleet.metrics.map((name) => {
          const { label, unit } = describeMetric(name);
          return (
            <option key={name} value={name}>{unit === "" ? label : `${label} (${unit})`}</option>
          );
        })}
      </select>
    </label>
  );
}

function countByDevice(live: LiveTenant): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { device_id: id } of live.alerts.open ?? []) {
    if (id !== null) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}
