// Gathers the newest sample of each device out of rows in any order; it must keep nothing about devices not asked for.
import type { MetricValue, Sample } from "../../protocol/server_messages.ts";
import { toNanoInstant } from "../instant.ts";
import { createMetricFilter } from "../metric_filter.ts";
import type { LatestResult } from "../telemetry_source.ts";

export interface LatestCollectorOptions {
  readonly deviceIds: readonly string[];
  readonly metadataKeys: readonly string[];
}

export interface StoredRow {
  readonly deviceId: string;
  readonly storedAt: string;
  /** Names and values; nulls are no values. */
  readonly fields: Iterable<readonly [name: string, value: unknown]>;
}

export class LatestCollector implements LatestResult {
  readonly #wanted: ReadonlySet<string>;
  readonly #isMetric: (name: string) => boolean;
  readonly #samples = new Map<string, Sample>();
  readonly #unreadable = new Map<string, string>();

  constructor({ deviceIds, metadataKeys }: LatestCollectorOptions) {
    this.#wanted = new Set(deviceIds);
    this.#isMetric = createMetricFilter(metadataKeys);
  }

  get samples(): ReadonlyMap<string, Sample> {
    return this.#samples;
  }

  get unreadable(): ReadonlyMap<string, string> {
    return this.#unreadable;
  }

  add({ deviceId, storedAt, fields }: StoredRow): void {
    if (!this.#wanted.has(deviceId) || this.#unreadable.has(deviceId)) return;
    let timestamp: string;
    try {
      timestamp = toNanoInstant(storedAt);
    } catch (error) {
      this.#unreadable.set(deviceId, error instanceof Error ? error.message : String(error));
      this.#samples.delete(deviceId);
      return;
    }
    const known = this.#samples.get(deviceId);
    if (known !== undefined && known.timestamp >= timestamp) return;
    this.#samples.set(deviceId, { timestamp, metrics: this.#metrics(fields) });
  }

  #metrics(fields: StoredRow["fields"]): Readonly<Record<string, MetricValue>> {
    const metrics: [string, MetricValue][] = [];
    for (const [name, value] of fields) {
      if (isMetricValue(value) && this.#isMetric(name)) metrics.push([name, value]);
    }
    // It defines where an assignment would call the setter of `__proto__`.
    return Object.fromEntries(metrics);
  }
}

/** InfluxDB's own types; NaN and the infinities, which JSON can't say, are no values. */
function isMetricValue(value: unknown): value is string | number | boolean {
  return typeof value === "number"
    ? Number.isFinite(value)
    : typeof value === "string" || typeof value === "boolean";
}
