// Gives an instant of a database its one spelling on the wire; it must never change which instant it is.

const storedInstant =
  /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|[+-]00(?::?00)?)$/;

/**
 * Pads an instant in UTC (RFC3339 or PostgreSQL's spelling) to nine fractional digits and `Z`.
 * Throws RangeError for anything else.
 */
export function toNanoInstant(text: string): string {
  const parts = storedInstant.exec(text);
  if (parts === null) {
    throw new RangeError(`Cannot read an instant: not RFC3339 in UTC: ${JSON.stringify(text)}`);
  }
  return `${parts[1]}T${parts[2]}.${(parts[3] ?? "").padEnd(9, "0")}Z`;
}
