// Instants on the wire as text and as numbers that can be counted with; it must lose no nanosecond.

/** What is written as an instant, as a regular expression without flags; not every such text is one. */
export const INSTANT_PATTERN = String
  .raw`^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$`;
const written = new RegExp(INSTANT_PATTERN);
const nanosPerMillisecond = 1_000_000n;
const nanosPerSecond = 1_000_000_000n;

/** Reads RFC 3339 with up to nine fractional digits and any offset; null for anything else. */
export function parseNanoInstant(text: string): string | null {
  const [, day = "", time = "", fraction = "", offset = ""] = written.exec(text) ?? [];
  const local = Date.parse(`${day}T${time}Z`);
  // The runtime takes 30 February for a day in March, and 24:00:00 for the next day.
  if (Number.isNaN(local) || new Date(local).toISOString() !== `${day}T${time}.000Z`) return null;
  const utc = Date.parse(`${day}T${time}${offset.toUpperCase()}`);
  if (Number.isNaN(utc)) return null;
  const second = new Date(utc).toISOString();
  // An offset can carry an instant beyond the years that four digits say.
  return second.length === 24 ? `${second.slice(0, 19)}.${fraction.padEnd(9, "0")}Z` : null;
}

/** Nanoseconds since the epoch of an instant with nine digits. */
export function nanosOf(instant: string): bigint {
  return BigInt(Date.parse(`${instant.slice(0, 19)}Z`)) * nanosPerMillisecond +
    BigInt(instant.slice(20, 29));
}

/** The instant with nine digits so many nanoseconds after the epoch. */
export function instantOfNanos(nanos: bigint): string {
  const fraction = ((nanos % nanosPerSecond) + nanosPerSecond) % nanosPerSecond;
  const second = new Date(Number((nanos - fraction) / nanosPerMillisecond)).toISOString();
  return `${second.slice(0, 19)}.${String(fraction).padStart(9, "0")}Z`;
}

/** The instant with nine digits so many whole or broken milliseconds after the epoch. */
export function instantOfMs(ms: number): string {
  return instantOfNanos(BigInt(Math.floor(ms)) * nanosPerMillisecond);
}
