// Arithmetic on instants as the wire writes them, nine fractional digits and `Z`; it must lose no nanosecond, because
// comparing two of them as strings is how samples are told apart.

/** The instant so many whole milliseconds earlier. */
export function earlierBy(instant: string, ms: number): string {
  const milliseconds = Date.parse(`${instant.slice(0, 23)}Z`) - ms;
  return `${new Date(milliseconds).toISOString().slice(0, 23)}${instant.slice(23, 29)}Z`;
}

/** An instant of any precision that the service sends, with nine fractional digits. */
export function nineDigits(instant: string): string {
  const [second = "", fraction = ""] = instant.replace(/Z$/, "").split(".");
  return `${second}.${fraction.padEnd(9, "0")}Z`;
}

/** Milliseconds since the epoch as an instant with nine digits. */
export function instantOf(ms: number): string {
  return nineDigits(new Date(ms).toISOString());
}
