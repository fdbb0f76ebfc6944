// A metric that is yes or no, or a word: what it is, for how long, and a strip of what it was. Gaps stay empty.
import { describeMetric } from "./describe_metric.ts";
import type { Phase } from "./device_series.ts";
import { formatAge, formatInstant } from "./format_time.ts";
import { formatValue } from "./format_value.ts";
import { text } from "./strings.ts";
import type { TimeWindow } from "./time_window.ts";

export interface StateStripProps {
  readonly metric: string;
  readonly phases: readonly Phase[];
  readonly newest: unknown;
  readonly window: TimeWindow;
  readonly nowMs: number;
  readonly isOld: boolean;
}

const WIDTH = 1_000;
/** So many words are told apart by their tone; further ones share the last. */
const TONES = 5;

export function StateStrip({ metric, phases, newest, window, nowMs, isOld }: StateStripProps) {
  const { label } = describeMetric(metric);
  const show = (value: unknown) => formatValue(value, { unit: "", decimals: 3 }).text;
  const words = [...new Set(phases.map(({ value }) => show(value)))].sort();
  const x = (time: number) =>
    ((Math.min(Math.max(time, window.from), window.to) - window.from) /
      (window.to - window.from)) * WIDTH;
  const last = phases.at(-1);
  return (
    <div class="strip" data-old={isOld} data-metric={metric}>
      <span class="label" title={metric}>{label}</span>
      <span class="value">
        {show(newest)}
        {last !== undefined && show(last.value) === show(newest) && (
          <span class="unit">
            {text.device.since(formatAge(Math.max(0, nowMs - last.from * 1_000)))}
          </span>
        )}
      </span>
      <svg
        viewBox={`0 0 ${WIDTH} 16`}
        preserveAspectRatio="none"
        role="img"
        aria-label={text.device.timeline(label, show(newest))}
      >
        {phases.filter(({ from, to }) => to > window.from && from < window.to).map((phase) => (
          <rect
            key={phase.from}
            data-tone={toneOf(phase.value, words.indexOf(show(phase.value)))}
            x={x(phase.from)}
            width={Math.max(1, x(phase.to) - x(phase.from))}
            y="0"
            height="16"
          >
            <title>{`${show(phase.value)}, ${formatInstant(phase.from * 1_000, nowMs)}`}</title>
          </rect>
        ))}
      </svg>
    </div>
  );
}

function toneOf(value: unknown, place: number): string {
  return typeof value === "boolean" ? String(value) : String(Math.min(place, TONES - 1));
}
