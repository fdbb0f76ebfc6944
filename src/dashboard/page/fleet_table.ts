// Every device of the tenant by its newest sample, and a trend of one metric. It holds one sample a device, never a list.
import type { MetricValue } from "../../protocol/server_messages.ts";
import { decimalsOf } from "./format_value.ts";
import { orderMetrics } from "./order_metrics.ts";
import { Trend } from "./trend.ts";

export interface FleetRow {
  readonly deviceId: string;
  timestamp: string;
  timeMs: number;
  /** Between its samples; null until two were seen. */
  paceMs: number | null;
  metrics: Readonly<Record<string, MetricValue>>;
  headline: string | null;
  /** The most digits that the shown metric had, so that a number keeps its width. */
  decimals: number;
  trend: Trend;
  /** Whether what was stored has been asked for. */
  isFilled: boolean;
}

/** How much of a new pace counts: a device that pauses once is not slow. */
const PACE_SHARE = 0.3;

export class FleetTable {
  readonly #rows = new Map<string, FleetRow>();
  readonly #metrics = new Set<string>();
  #metric: string | null = null;
  /** Null when a device came since it was made. */
  #sorted: readonly FleetRow[] | null = null;

  get size(): number {
    return this.#rows.size;
  }

  /** Ascending by device id. */
  rows(): readonly FleetRow[] {
    return this.#sorted ??= [...this.#rows.values()].sort((a, b) =>
      compareIds(a.deviceId, b.deviceId)
    );
  }

  row(deviceId: string): FleetRow | undefined {
    return this.#rows.get(deviceId);
  }

  /** Names of all metrics that were numbers. */
  get metrics(): readonly string[] {
    return [...this.#metrics].sort();
  }

  /** The metric that a row shows; null for the main one of each. */
  get metric(): string | null {
    return this.#metric;
  }

  showMetric(metric: string | null): void {
    if (metric === this.#metric) return;
    this.#metric = metric;
    for (const row of this.#rows.values()) {
      row.trend = new Trend();
      row.isFilled = false;
      row.decimals = 0;
      this.#note(row);
    }
  }

  metricOf(row: FleetRow): string | null {
    return this.#metric ?? row.headline;
  }

  receive({ device_id: deviceId, timestamp, metrics }: {
    readonly device_id: string;
    readonly timestamp: string;
    readonly metrics: Readonly<Record<string, MetricValue>>;
  }): void {
    const timeMs = Date.parse(timestamp);
    const known = this.#rows.get(deviceId);
    if (known !== undefined) {
      if (timestamp < known.timestamp) return;
      const stepMs = timeMs - known.timeMs;
      if (stepMs > 0) {
        known.paceMs = known.paceMs === null
          ? stepMs
          : known.paceMs + (stepMs - known.paceMs) * PACE_SHARE;
      }
    }
    const row: FleetRow = known ?? {
      deviceId,
      timestamp,
      timeMs,
      paceMs: null,
      metrics,
      headline: null,
      decimals: 0,
      trend: new Trend(),
      isFilled: false,
    };
    row.timestamp = timestamp;
    row.timeMs = timeMs;
    row.metrics = metrics;
    row.headline ??= orderMetrics(metrics).headline;
    for (const [name, value] of Object.entries(metrics)) {
      if (typeof value === "number") this.#metrics.add(name);
    }
    this.#note(row);
    if (known !== undefined) return;
    this.#rows.set(deviceId, row);
    this.#sorted = null;
  }

  /** Something was missed: what was stored meanwhile has to be asked for. */
  missed(): void {
    for (const row of this.#rows.values()) row.isFilled = false;
  }

  #note(row: FleetRow): void {
    const metric = this.metricOf(row);
    const value = metric === null ? undefined : row.metrics[metric];
    if (typeof value !== "number") return;
    row.decimals = Math.max(row.decimals, decimalsOf(value));
    row.trend.push(row.timeMs, value);
  }
}

const collator = new Intl.Collator("en", { numeric: true });

/** `pump-2` before `pump-10`. */
function compareIds(one: string, other: string): number {
  return collator.compare(one, other);
}
