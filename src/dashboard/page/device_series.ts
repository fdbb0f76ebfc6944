// The samples of one device in windows of one width, whether they came as history or live: a window that began as
// history is never begun again, and what is older than the span is dropped.
import type { MetricValue, Sample } from "../../protocol/server_messages.ts";

type Cell =
  | { readonly kind: "number"; sum: number; count: number }
  | { readonly kind: "other"; value: MetricValue };

interface Window {
  /** Seconds since 1970. */
  readonly start: number;
  readonly cells: Map<string, Cell>;
}

/** As uPlot takes it: ascending seconds, and null where the line breaks. */
export interface Line {
  readonly times: number[];
  readonly values: (number | null)[];
}

export interface Phase {
  /** Seconds since 1970. */
  readonly from: number;
  readonly to: number;
  readonly value: MetricValue;
}

/** Silence of so many usual steps is a gap, and no shorter one than these seconds. */
const GAP_STEPS = 4;
const LEAST_GAP_SECONDS = 5;

export class DeviceSeries {
  readonly resolutionSeconds: number;
  readonly spanSeconds: number;
  readonly #windows: Window[] = [];
  #newest: Sample | null = null;
  #lastWindow: Sample | null = null;
  #paceMs: number | null = null;

  constructor({ resolutionSeconds, spanSeconds }: {
    readonly resolutionSeconds: number;
    readonly spanSeconds: number;
  }) {
    this.resolutionSeconds = resolutionSeconds;
    this.spanSeconds = spanSeconds;
  }

  /** The sample with the greatest timestamp; until one came, the last window. */
  get newest(): Sample | null {
    return this.#newest ?? this.#lastWindow;
  }

  get paceMs(): number | null {
    return this.#paceMs;
  }

  get windowCount(): number {
    return this.#windows.length;
  }

  /** Adds a sample as it was stored, in whatever order. */
  add(sample: Sample): void {
    const timeMs = Date.parse(sample.timestamp);
    if (this.#newest === null || sample.timestamp > this.#newest.timestamp) {
      if (this.#newest !== null) this.#paceMs = timeMs - Date.parse(this.#newest.timestamp);
      this.#newest = sample;
    }
    this.#into(timeMs / 1_000, sample.metrics);
    this.#prune();
  }

  /** Adds a window that the service made, in ascending order. */
  addWindow(window: Sample): void {
    this.#lastWindow = window;
    this.#into(Date.parse(window.timestamp) / 1_000, window.metrics);
  }

  /** Names of all metrics, and whether each is a number. */
  metrics(): ReadonlyMap<string, MetricValue> {
    const found = new Map<string, MetricValue>();
    for (const { cells } of this.#windows) {
      for (const [name, cell] of cells) found.set(name, valueOf(cell));
    }
    return found;
  }

  line(metric: string): Line {
    const times: number[] = [];
    const raw: number[] = [];
    for (const { start, cells } of this.#windows) {
      const cell = cells.get(metric);
      if (cell?.kind !== "number") continue;
      times.push(start);
      raw.push(cell.sum / cell.count);
    }
    const gap = this.#gapSeconds(times);
    const line: Line = { times: [], values: [] };
    times.forEach((time, place) => {
      const before = times[place - 1];
      if (before !== undefined && time - before > gap) {
        line.times.push(before + (time - before) / 2);
        line.values.push(null);
      }
      line.times.push(time);
      line.values.push(raw[place] ?? null);
    });
    return line;
  }

  /** What a metric that is no number was, and for how long. */
  phases(metric: string): readonly Phase[] {
    const cells = this.#windows.flatMap(({ start, cells }) => {
      const cell = cells.get(metric);
      return cell === undefined ? [] : [{ start, value: valueOf(cell) }];
    });
    const gap = this.#gapSeconds(cells.map(({ start }) => start));
    const phases: { from: number; to: number; value: MetricValue }[] = [];
    for (const { start, value } of cells) {
      const last = phases.at(-1);
      const end = start + this.resolutionSeconds;
      if (last === undefined || start - last.to > gap) phases.push({ from: start, to: end, value });
      else if (isSame(last.value, value)) last.to = end;
      else {
        last.to = start;
        phases.push({ from: start, to: end, value });
      }
    }
    return phases;
  }

  #gapSeconds(times: readonly number[]): number {
    const recent = times.slice(-200);
    const steps = recent.slice(1).map((time, place) => time - (recent[place] ?? time));
    steps.sort((a, b) => a - b);
    const usual = steps[Math.floor(steps.length / 2)] ?? this.resolutionSeconds;
    return Math.max(LEAST_GAP_SECONDS, GAP_STEPS * Math.max(usual, this.resolutionSeconds));
  }

  #into(seconds: number, metrics: Readonly<Record<string, MetricValue>>): void {
    const start = Math.floor(seconds / this.resolutionSeconds) * this.resolutionSeconds;
    const { cells } = this.#windowAt(start);
    for (const [name, value] of Object.entries(metrics)) {
      const cell = cells.get(name);
      if (typeof value !== "number") cells.set(name, { kind: "other", value });
      else if (cell?.kind === "number") {
        cell.sum += value;
        cell.count++;
      } else cells.set(name, { kind: "number", sum: value, count: 1 });
    }
  }

  #windowAt(start: number): Window {
    // Nearly always the last one or a new one; a late sample looks back a little.
    let place = this.#windows.length;
    while (place > 0 && (this.#windows[place - 1]?.start ?? start) > start) place--;
    const known = this.#windows[place - 1];
    if (known?.start === start) return known;
    const window: Window = { start, cells: new Map() };
    this.#windows.splice(place, 0, window);
    return window;
  }

  #prune(): void {
    const newest = this.#windows.at(-1)?.start ?? 0;
    const oldest = newest - this.spanSeconds;
    let count = 0;
    while ((this.#windows[count]?.start ?? oldest) < oldest) count++;
    if (count > 0) this.#windows.splice(0, count);
  }
}

function valueOf(cell: Cell): MetricValue {
  return cell.kind === "number" ? cell.sum / cell.count : cell.value;
}

function isSame(one: MetricValue, other: MetricValue): boolean {
  return one === other ||
    (typeof one === "object" && JSON.stringify(one) === JSON.stringify(other));
}
