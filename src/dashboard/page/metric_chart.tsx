// A metric that is a number: what it is now, its extent in what is shown, and its line. What the line shows is said in
// words to those who can't see it.
import { useEffect, useRef, useState } from "preact/hooks";
import { Chart, type ChartEvents, type Mark } from "./chart.ts";
import { describeMetric } from "./describe_metric.ts";
import type { Line } from "./device_series.ts";
import { formatInstant } from "./format_time.ts";
import { decimalsOf, formatValue } from "./format_value.ts";
import { text } from "./strings.ts";
import type { TimeWindow } from "./time_window.ts";

export interface MetricChartProps {
  readonly metric: string;
  readonly line: Line;
  /** Of the newest sample; undefined where that does not have it. */
  readonly newest: unknown;
  readonly window: TimeWindow;
  readonly marks: readonly Mark[];
  readonly isOld: boolean;
  readonly onSelect: (window: TimeWindow) => void;
  readonly onFollow: () => void;
}

export function MetricChart(
  { metric, line, newest, window, marks, isOld, onSelect, onFollow }: MetricChartProps,
) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | null>(null);
  const decimals = useRef(0);
  const [point, setPoint] = useState<{ time: number; value: number } | null>(null);
  const events = useRef<ChartEvents>({ select: onSelect, follow: onFollow, hover: setPoint });
  events.current = { select: onSelect, follow: onFollow, hover: setPoint };
  const input = { line, window, marks, isOld };

  useEffect(() => {
    if (host.current === null) return;
    const made = new Chart(host.current, {
      input,
      events: {
        select: (selected) => events.current.select(selected),
        follow: () => events.current.follow(),
        hover: (hovered) => events.current.hover(hovered),
      },
    });
    chart.current = made;
    return () => made[Symbol.dispose]();
  }, []);
  useEffect(() => chart.current?.show(input));

  const { label, unit } = describeMetric(metric);
  decimals.current = Math.max(decimals.current, decimalsOf(newest));
  const show = (value: unknown) => {
    const shown = formatValue(value, { unit, decimals: decimals.current });
    return shown.unit === "" ? shown.text : `${shown.text} ${shown.unit}`;
  };
  const now = formatValue(point?.value ?? newest, { unit, decimals: decimals.current });
  const extent = extentOf(line, window);
  const title = `metric-${metric}`;
  return (
    <section class="metric" data-old={isOld} data-metric={metric} aria-labelledby={title}>
      <header>
        <h3 id={title} title={metric}>{label}</h3>
        <p class="value" data-point={point !== null}>
          {now.text}
          <span class="unit">{now.unit}</span>
        </p>
        <p class="extent">
          {point !== null ? formatInstant(point.time * 1_000, Date.now()) : extent !== null && (
            <>
              <span>{text.device.low} {show(extent.low)}</span>
              <span class="mean">{text.device.mean} {show(extent.mean)}</span>
              <span>{text.device.high} {show(extent.high)}</span>
            </>
          )}
        </p>
      </header>
      <div
        class="plot"
        ref={host}
        data-points={line.values.filter((value) => value !== null).length}
        data-breaks={line.values.filter((value) => value === null).length}
        role="img"
        aria-label={text.device.summary(label, show(newest), show(extent?.low), show(extent?.high))}
      />
    </section>
  );
}

function extentOf({ times, values }: Line, { from, to }: TimeWindow) {
  let low = Infinity;
  let high = -Infinity;
  let sum = 0;
  let count = 0;
  values.forEach((value, place) => {
    const time = times[place] ?? 0;
    if (value === null || time < from || time > to) return;
    low = Math.min(low, value);
    high = Math.max(high, value);
    sum += value;
    count++;
  });
  return count === 0 ? null : { low, high, mean: sum / count };
}
