// Medians, spreads and percentiles of what rounds brought. It decides nothing about what is measured.

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle] as number
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** `0.93–1.04` */
export function spread(
  values: readonly number[],
  write = (value: number) => value.toFixed(2),
): string {
  return `${write(Math.min(...values))}–${write(Math.max(...values))}`;
}

/** The least value that so many of a hundred do not exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * percent / 100) - 1)] ?? NaN;
}

/** The same of values that come with how often each was met, in ascending order. */
export function percentileOf(
  counted: ReadonlyArray<readonly [value: number, count: number]>,
  percent: number,
): number {
  const total = counted.reduce((sum, [, count]) => sum + count, 0);
  let seen = 0;
  for (const [value, count] of counted) {
    seen += count;
    if (seen >= total * percent / 100) return value;
  }
  return NaN;
}

/** `123,456` */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
