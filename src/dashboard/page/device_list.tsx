// The devices as a table of which only the rows that are seen are in the page. Its rows have one height, so that the place
// of each is known without drawing it.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { describeMetric } from "./describe_metric.ts";
import type { ListedRow } from "./fleet_filter.ts";
import { formatAge } from "./format_time.ts";
import { formatValue } from "./format_value.ts";
import type { LiveTenant } from "./live_tenant.ts";
import { deviceHash } from "./route.ts";
import { Sparkline } from "./sparkline.tsx";
import { text } from "./strings.ts";

export interface DeviceListProps {
  readonly live: LiveTenant;
  readonly listed: readonly ListedRow[];
  readonly nowMs: number;
}

/** As the style sheet has it. */
const ROW_PX = 44;
const BEYOND = 6;
const COLUMNS = ["device", "health", "value", "trend", "lastSeen"] as const;

export function DeviceList({ live, listed, nowMs }: DeviceListProps) {
  const box = useRef<HTMLDivElement>(null);
  const [scrollTop, setScrollTop] = useState(0);
  const [height, setHeight] = useState(600);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    setHeight(element.clientHeight);
    return () => observer.disconnect();
  }, []);

  const first = Math.max(0, Math.floor(scrollTop / ROW_PX) - BEYOND);
  const last = Math.min(listed.length, Math.ceil((scrollTop + height) / ROW_PX) + BEYOND);
  const seen = listed.slice(first, last);
  useEffect(() => live.filler.want(seen.map(({ row }) => row)));

  const move = (event: KeyboardEvent) => {
    const place = placeAfter(event.key, {
      now: Number((event.target as HTMLElement).dataset.place ?? Number.NaN),
      last: listed.length - 1,
      page: Math.max(1, Math.floor(height / ROW_PX) - 2),
    });
    const element = box.current;
    if (place === null || element === null) return;
    event.preventDefault();
    const top = place * ROW_PX;
    // The head of the table covers its first line.
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + 2 * ROW_PX > element.scrollTop + height) {
      element.scrollTop = top + 2 * ROW_PX - height;
    }
    setScrollTop(element.scrollTop);
    requestAnimationFrame(() =>
      element.querySelector<HTMLElement>(`[data-place="${place}"]`)?.focus({ preventScroll: true })
    );
  };

  return (
    <div
      class="table"
      ref={box}
      role="table"
      aria-label={text.list.label}
      aria-rowcount={listed.length + 1}
      tabIndex={0}
      onScroll={(event) => setScrollTop(event.currentTarget.scrollTop)}
      onKeyDown={move}
    >
      <div role="rowgroup" class="head">
        <div role="row" class="row" aria-rowindex={1}>
          {COLUMNS.map((name) => (
            <span key={name} role="columnheader" class={`cell-${name}`}>{text.list[name]}</span>
          ))}
        </div>
      </div>
      <div role="rowgroup" class="body" style={{ height: `${listed.length * ROW_PX}px` }}>
        {seen.map((listedRow, offset) => (
          <Row
            key={listedRow.row.deviceId}
            live={live}
            listed={listedRow}
            place={first + offset}
            nowMs={nowMs}
          />
        ))}
      </div>
    </div>
  );
}

function Row(
  { live, listed: { row, health, ageMs, alerts }, place, nowMs }: {
    readonly live: LiveTenant;
    readonly listed: ListedRow;
    readonly place: number;
    readonly nowMs: number;
  },
) {
  const metric = live.fleet.metricOf(row);
  const { label, unit } = metric === null ? { label: "", unit: "" } : describeMetric(metric);
  const shown = formatValue(metric === null ? undefined : row.metrics[metric], {
    unit,
    decimals: row.decimals,
  });
  return (
    <div
      role="row"
      class="row"
      aria-rowindex={place + 2}
      data-health={health}
      style={{ transform: `translateY(${place * ROW_PX}px)` }}
    >
      <span role="cell" class="cell-device">
        <a href={deviceHash(row.deviceId)} data-place={place}>{row.deviceId}</a>
        {alerts > 0 && (
          <span class="badge" role="img" aria-label={text.list.alertCount(alerts)}>{alerts}</span>
        )}
      </span>
      <span role="cell" class="cell-health">
        <span class="dot" aria-hidden="true" />
        <span>{text.health[health]}</span>
      </span>
      <span role="cell" class="cell-value">
        <span class="label">{label}</span>
        <span class="value">
          {shown.text}
          <span class="unit">{shown.unit}</span>
        </span>
      </span>
      <span role="cell" class="cell-trend">
        <Sparkline trend={row.trend} nowMs={nowMs} />
      </span>
      <span role="cell" class="cell-lastSeen">
        {formatAge(ageMs)}
        <span class="ago">{text.list.ago}</span>
      </span>
    </div>
  );
}

function placeAfter(
  key: string,
  { now, last, page }: { readonly now: number; readonly last: number; readonly page: number },
): number | null {
  // The table itself has the focus: the first key goes to its first row.
  if (Number.isNaN(now)) return key === "ArrowDown" || key === "Home" ? 0 : null;
  const wanted = {
    ArrowDown: now + 1,
    ArrowUp: now - 1,
    PageDown: now + page,
    PageUp: now - page,
    Home: 0,
    End: last,
  }[key];
  return wanted === undefined ? null : Math.min(last, Math.max(0, wanted));
}
