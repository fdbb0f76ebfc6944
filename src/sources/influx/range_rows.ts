// Hands an answer's rows on to the collector of a range; what it can't read of one device must not harm another.
import type { RangeCollector } from "../range_collector.ts";
import { createMetricReader, instantOf, type RowSink, type StoredRow } from "./stored_row.ts";

export class RangeRows implements RowSink {
  readonly #collector: RangeCollector;
  readonly #readMetrics: ReturnType<typeof createMetricReader>;

  constructor(collector: RangeCollector, metadataKeys: readonly string[]) {
    this.#collector = collector;
    this.#readMetrics = createMetricReader(metadataKeys);
  }

  add(row: StoredRow): void {
    const { deviceId } = row;
    if (!this.#collector.isWanted(deviceId)) return;
    let timestamp: string;
    try {
      timestamp = instantOf(row);
    } catch (error) {
      this.#collector.fail(deviceId, error instanceof Error ? error.message : String(error));
      return;
    }
    this.#collector.add(deviceId, { timestamp, metrics: this.#readMetrics(row) });
  }
}
