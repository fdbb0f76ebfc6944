// Gathers the samples of each device out of rows in any order; it must give each instant once, and no more than asked for.
import { instantOfNanos, nanosOf } from "../protocol/nano_instant.ts";
import { mergeSamples } from "./merge_samples.ts";
import type { RangeQuery, RangeResult, Sample } from "./telemetry_source.ts";

interface RangeCollectorOptions
  extends Pick<RangeQuery, "deviceIds" | "maxSamples" | "order" | "resolutionSeconds"> {
  /** Most rows of one device that the database was asked for; one more than samples where nothing is said. */
  readonly maxRows?: number;
}

const nanosPerSecond = 1_000_000_000n;

export class RangeCollector {
  readonly #options: RangeCollectorOptions;
  readonly #wanted: ReadonlySet<string>;
  readonly #samples = new Map<string, Sample[]>();
  readonly #unreadable = new Map<string, string>();

  constructor(options: RangeCollectorOptions) {
    this.#options = options;
    this.#wanted = new Set(options.deviceIds);
  }

  isWanted(deviceId: string): boolean {
    return this.#wanted.has(deviceId);
  }

  add(deviceId: string, sample: Sample): void {
    if (!this.isWanted(deviceId)) return;
    const { resolutionSeconds } = this.#options;
    if (resolutionSeconds !== null && isEmpty(sample.metrics)) return;
    const timestamp = resolutionSeconds === null
      ? sample.timestamp
      : windowStart(sample.timestamp, resolutionSeconds);
    const stored = timestamp === sample.timestamp ? sample : { ...sample, timestamp };
    const known = this.#samples.get(deviceId);
    if (known === undefined) this.#samples.set(deviceId, [stored]);
    else known.push(stored);
  }

  /** Notes that a row of the device could not be understood; the first reason stays. */
  fail(deviceId: string, reason: string): void {
    if (this.isWanted(deviceId) && !this.#unreadable.has(deviceId)) {
      this.#unreadable.set(deviceId, reason);
    }
  }

  result(): RangeResult {
    const { maxSamples, order, maxRows = maxSamples + 1 } = this.#options;
    const samples = new Map<string, readonly Sample[]>();
    const truncated = new Set<string>();
    const sign = order === "ascending" ? 1 : -1;
    for (const [deviceId, rows] of this.#samples) {
      const isCut = rows.length >= maxRows;
      if (isInOrder(rows, order)) {
        if (rows.length > maxSamples) truncated.add(deviceId);
        samples.set(deviceId, rows.length > maxSamples ? rows.slice(0, maxSamples) : rows);
        continue;
      }
      rows.sort((a, b) =>
        a.timestamp === b.timestamp ? 0 : a.timestamp < b.timestamp ? -sign : sign
      );
      const merged: Sample[] = [];
      for (const row of rows) {
        const last = merged.at(-1);
        if (last?.timestamp === row.timestamp) merged[merged.length - 1] = mergeSamples(last, row);
        else if (merged.push(row) > maxSamples) break;
      }
      if (isCut || merged.length > maxSamples) truncated.add(deviceId);
      // Perhaps in the middle of an instant; the next read brings it whole.
      if (isCut && merged.length > 1) merged.pop();
      samples.set(deviceId, merged.slice(0, maxSamples));
    }
    return { samples, truncated, unreadable: this.#unreadable };
  }
}

/** Whether nothing is left to sort or to merge. */
function isInOrder(rows: readonly Sample[], order: RangeQuery["order"]): boolean {
  let before = rows[0]?.timestamp ?? "";
  for (let index = 1; index < rows.length; index++) {
    const { timestamp } = rows[index] as Sample;
    if (order === "ascending" ? timestamp <= before : timestamp >= before) return false;
    before = timestamp;
  }
  return true;
}

/** The start of the window that the instant lies in; a database that cuts the first window says a later one. */
function windowStart(instant: string, resolutionSeconds: number): string {
  const length = BigInt(resolutionSeconds) * nanosPerSecond;
  const nanos = nanosOf(instant);
  return instantOfNanos(nanos - (((nanos % length) + length) % length));
}

function isEmpty(metrics: Sample["metrics"]): boolean {
  for (const _ in metrics) return false;
  return true;
}
