// The last quarter of an hour of one metric in a few bins, for a line as small as a word. It knows no unit and no device.

export const TREND_BIN_MS = 15_000;
export const TREND_BINS = 60;

interface Bin {
  /** Counted from 1970. */
  readonly index: number;
  sum: number;
  count: number;
}

export class Trend {
  /** Ascending by index. */
  #bins: Bin[] = [];
  #newestMs = Number.NEGATIVE_INFINITY;
  /** Counts up when something changed. */
  version = 0;

  /** Adds a sample; one whose instant is known already is left out. */
  push(timeMs: number, value: number): void {
    if (timeMs <= this.#newestMs) return;
    this.#newestMs = timeMs;
    const index = Math.floor(timeMs / TREND_BIN_MS);
    const last = this.#bins.at(-1);
    if (last !== undefined && last.index === index) {
      last.sum += value;
      last.count++;
    } else this.#bins.push({ index, sum: value, count: 1 });
    this.#bins = this.#bins.filter((bin) => bin.index > index - TREND_BINS);
    this.version++;
  }

  /** Puts stored bins before those that were seen; a bin that was seen counts. */
  fill(stored: ReadonlyArray<{ readonly timeMs: number; readonly value: number }>): void {
    const seen = new Map(this.#bins.map((bin) => [bin.index, bin]));
    for (const { timeMs, value } of stored) {
      const index = Math.floor(timeMs / TREND_BIN_MS);
      if (!seen.has(index)) seen.set(index, { index, sum: value, count: 1 });
    }
    this.#bins = [...seen.values()].sort((a, b) => a.index - b.index);
    this.version++;
  }

  /** An SVG path; bins without values break the line, for nothing is known of what lies between. */
  path({ nowMs, width, height }: { nowMs: number; width: number; height: number }): string {
    const end = Math.floor(nowMs / TREND_BIN_MS);
    const first = end - TREND_BINS + 1;
    const bins = this.#bins.filter(({ index }) => index >= first && index <= end);
    if (bins.length === 0) return "";
    const values = bins.map(({ sum, count }) => sum / count);
    const low = Math.min(...values);
    const high = Math.max(...values);
    const middle = (low + high) / 2;
    // A movement below a hundredth of the value is drawn as small as it is.
    const span = Math.max(high - low, Math.abs(middle) * 0.01, 1e-9);
    // A device that reports each minute has a bin in four, and no gaps.
    const step = typicalStep(bins.map(({ index }) => index));
    let path = "";
    bins.forEach(({ index }, place) => {
      const before = bins[place - 1];
      const isStart = before === undefined || index - before.index > step * 2;
      const x = ((index - first) / (TREND_BINS - 1)) * (width - 2) + 1;
      const y = height / 2 - (((values[place] ?? middle) - middle) / span) * (height - 4);
      path += `${isStart ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
      const after = bins[place + 1];
      // A point that is joined to nothing would not be seen.
      if (isStart && (after === undefined || after.index - index > step * 2)) path += "h.1";
    });
    return path;
  }
}

function typicalStep(indexes: readonly number[]): number {
  const steps = indexes.slice(1).map((index, place) => index - (indexes[place] ?? index));
  steps.sort((a, b) => a - b);
  return Math.max(1, steps[Math.floor(steps.length / 2)] ?? 1);
}
