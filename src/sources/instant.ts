// Gives an instant of a database its one spelling on the wire; it must never change which instant it is.

const storedInstant =
  /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|[+-]00(?::?00)?)$/;

const wireInstant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/;
const NANO_LENGTH = "2026-11-18T11:00:00.000000000Z".length;

/**
 * Pads an instant in UTC (RFC3339 or PostgreSQL's spelling) to nine fractional digits and `Z`.
 * Throws RangeError for anything else.
 */
export function toNanoInstant(text: string): string {
  // As most databases write it: nothing has to be cut apart.
  if (text.length === NANO_LENGTH && wireInstant.test(text)) return text;
  const parts = storedInstant.exec(text);
  if (parts === null) {
    throw new RangeError(`Cannot read an instant: not RFC3339 in UTC: ${JSON.stringify(text)}`);
  }
  return `${parts[1]}T${parts[2]}.${(parts[3] ?? "").padEnd(9, "0")}Z`;
}
