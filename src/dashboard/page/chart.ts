// One metric as a uPlot chart that is fed from outside: it draws a line, its gaps and the alerts, and tells what a person
// selects. It holds no data of its own.
import uPlot from "uplot";
import type { AlertLevel } from "./alert_board.ts";
import type { Line } from "./device_series.ts";
import { formatNumber, MAX_DECIMALS } from "./format_value.ts";
import { shift, type TimeWindow } from "./time_window.ts";

/** An alert on the time axis; `to` null where only its beginning is known. */
export interface Mark {
  readonly from: number;
  readonly to: number | null;
  readonly level: AlertLevel;
}

export interface ChartEvents {
  readonly select: (window: TimeWindow) => void;
  readonly follow: () => void;
  readonly hover: (point: { readonly time: number; readonly value: number } | null) => void;
}

export interface ChartInput {
  readonly line: Line;
  readonly window: TimeWindow;
  readonly marks: readonly Mark[];
  readonly isOld: boolean;
}

const HEIGHT = 160;
/** As wide in every chart, so that their time axes stand below one another. */
const AXIS_WIDTH = 54;
/** A movement below a hundredth of the value is drawn as small as it is. */
const LEAST_SHARE = 0.01;
const SYNC_KEY = "device";
const TONES: Readonly<Record<AlertLevel, string>> = {
  high: "--bad",
  middle: "--warn",
  low: "--note",
  note: "--soft",
  unknown: "--soft",
};

export class Chart implements Disposable {
  readonly #plot: uPlot;
  readonly #host: HTMLElement;
  readonly #events: ChartEvents;
  readonly #observer: ResizeObserver;
  #input: ChartInput;

  constructor(host: HTMLElement, { input, events }: {
    readonly input: ChartInput;
    readonly events: ChartEvents;
  }) {
    this.#host = host;
    this.#input = input;
    this.#events = events;
    this.#plot = new uPlot(this.#options(), [[], []], host);
    this.#observer = new ResizeObserver(() =>
      this.#plot.setSize({ width: host.clientWidth, height: HEIGHT })
    );
    this.#observer.observe(host);
    this.show(input);
  }

  show(input: ChartInput): void {
    this.#input = input;
    const { line, window } = input;
    this.#plot.batch(() => {
      this.#plot.setData([line.times, line.values], false);
      this.#plot.setScale("x", { min: window.from, max: window.to });
    });
  }

  [Symbol.dispose](): void {
    this.#observer.disconnect();
    this.#plot.destroy();
  }

  #options(): uPlot.Options {
    const axis = {
      stroke: () => this.#tone("--soft"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: () => this.#tone("--grid"), width: 1 },
      ticks: { show: false },
    };
    return {
      width: this.#host.clientWidth,
      height: HEIGHT,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: {
        sync: { key: SYNC_KEY, scales: ["x", null] },
        drag: { x: true, y: false, setScale: false },
        y: false,
        points: { size: 6 },
        bind: {
          mousedown: (_plot, _target, handler) => (event) => {
            if (!event.shiftKey) return handler(event);
            this.#drag(event);
            return null;
          },
          dblclick: () => () => {
            this.#events.follow();
            return null;
          },
        },
      },
      scales: { x: { time: true, auto: false }, y: { range: (_, low, high) => spread(low, high) } },
      axes: [
        { ...axis, space: 64, size: 26, values: (_, splits, __, ___, step) => times(splits, step) },
        { ...axis, space: 34, size: AXIS_WIDTH, values: (_, splits) => splits.map(axisNumber) },
      ],
      series: [{}, {
        stroke: () => this.#tone(this.#input.isOld ? "--old-line" : "--line"),
        width: 1.5,
        spanGaps: false,
        points: { show: (_, __, from, to) => to - from < 3, size: 4 },
      }],
      hooks: {
        drawAxes: [(plot) => this.#drawMarks(plot)],
        setSelect: [(plot) => this.#selected(plot)],
        setCursor: [(plot) => this.#hovered(plot)],
      },
    };
  }

  #tone(name: string): string {
    return getComputedStyle(this.#host).getPropertyValue(name).trim();
  }

  #selected(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < 4) return;
    this.#events.select({ from: plot.posToVal(left, "x"), to: plot.posToVal(left + width, "x") });
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  #hovered(plot: uPlot): void {
    const { idx, left } = plot.cursor;
    const time = idx === null || idx === undefined ? null : plot.data[0][idx] ?? null;
    const value = idx === null || idx === undefined ? null : plot.data[1]?.[idx] ?? null;
    const isOver = left !== undefined && left >= 0;
    this.#events.hover(isOver && time !== null && value !== null ? { time, value } : null);
  }

  #drag({ clientX: startX }: MouseEvent): void {
    const { window } = this.#input;
    const perPixel = (window.to - window.from) / Math.max(1, this.#plot.over.clientWidth);
    const move = (event: MouseEvent) =>
      this.#events.select(shift(window, (startX - event.clientX) * perPixel));
    const end = () => removeEventListener("mousemove", move);
    addEventListener("mousemove", move);
    addEventListener("mouseup", end, { once: true });
  }

  #drawMarks({ ctx, bbox, valToPos }: uPlot): void {
    const { window } = this.#input;
    const marks = this.#input.marks.filter(({ from, to }) =>
      from <= window.to && (to ?? from) >= window.from
    );
    const x = (time: number) =>
      valToPos(Math.min(Math.max(time, window.from), window.to), "x", true);
    ctx.save();
    // Once for all of a level: one upon another they would cover what is drawn.
    for (const [level, tone] of Object.entries(TONES)) {
      ctx.beginPath();
      for (const { from, to, level: own } of marks) {
        if (own === level && to !== null) {
          ctx.rect(x(from), bbox.top, x(to) - x(from), bbox.height);
        }
      }
      ctx.fillStyle = this.#tone(tone);
      ctx.globalAlpha = 0.1;
      ctx.fill();
    }
    for (const { from, level } of marks) {
      if (from < window.from) continue;
      ctx.fillStyle = ctx.strokeStyle = this.#tone(TONES[level]);
      ctx.globalAlpha = 0.9;
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x(from), bbox.top);
      ctx.lineTo(x(from), bbox.top + bbox.height);
      ctx.stroke();
      const half = 4 * devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(x(from) - half, bbox.top);
      ctx.lineTo(x(from) + half, bbox.top);
      ctx.lineTo(x(from), bbox.top + half * 1.6);
      ctx.fill();
    }
    ctx.restore();
  }
}

function spread(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  const middle = (low + high) / 2;
  const span = Math.max(high - low, Math.abs(middle) * LEAST_SHARE, 1e-9);
  return [middle - span * 0.6, middle + span * 0.6];
}

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const clockWithSeconds = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

function times(splits: readonly number[], stepSeconds: number): string[] {
  const format = stepSeconds < 60 ? clockWithSeconds : clock;
  return splits.map((seconds) => format.format(seconds * 1_000));
}

function axisNumber(value: number): string {
  return formatNumber(value, { least: 0, most: MAX_DECIMALS });
}
