// Reads durations as flags have them; it must leave bounds to who knows them.

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds of `90s`, `30m`, `6h` or `2d`; null for what is no duration, or none above zero. */
export function durationMs(text: string): number | null {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text) ?? [];
  const ms = Number(amount) * (UNIT_MS[unit] ?? Number.NaN);
  return ms > 0 ? ms : null;
}
