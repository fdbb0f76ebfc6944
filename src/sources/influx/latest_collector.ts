// Gathers the newest sample of each device out of rows in any order; it must keep nothing about devices not asked for.
import { mergeSamples } from "../merge_samples.ts";
import type { LatestQuery, LatestResult, Sample } from "../telemetry_source.ts";
import { createMetricReader, instantOf, type RowSink, type StoredRow } from "./stored_row.ts";

export interface LatestCollectorOptions {
  readonly deviceIds: LatestQuery["deviceIds"];
  readonly metadataKeys: readonly string[];
}

export class LatestCollector implements LatestResult, RowSink {
  /** Null for all. */
  readonly #wanted: ReadonlySet<string> | null;
  readonly #readMetrics: ReturnType<typeof createMetricReader>;
  readonly #samples = new Map<string, Sample>();
  readonly #unreadable = new Map<string, string>();

  constructor({ deviceIds, metadataKeys }: LatestCollectorOptions) {
    this.#wanted = deviceIds === "all" ? null : new Set(deviceIds);
    this.#readMetrics = createMetricReader(metadataKeys);
  }

  get samples(): ReadonlyMap<string, Sample> {
    return this.#samples;
  }

  get unreadable(): ReadonlyMap<string, string> {
    return this.#unreadable;
  }

  add(row: StoredRow): void {
    const { deviceId } = row;
    if (!this.#isWanted(deviceId) || this.#unreadable.has(deviceId)) return;
    let timestamp: string;
    try {
      timestamp = instantOf(row);
    } catch (error) {
      this.#unreadable.set(deviceId, error instanceof Error ? error.message : String(error));
      this.#samples.delete(deviceId);
      return;
    }
    const known = this.#samples.get(deviceId);
    if (known !== undefined && known.timestamp > timestamp) return;
    const sample = { timestamp, metrics: this.#readMetrics(row) };
    const isOne = known?.timestamp === timestamp;
    this.#samples.set(deviceId, isOne ? mergeSamples(known, sample) : sample);
  }

  /** Points without the tag are nobody's. */
  #isWanted(deviceId: string): boolean {
    return this.#wanted === null ? deviceId !== "" : this.#wanted.has(deviceId);
  }
}
