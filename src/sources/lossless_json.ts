// Reads JSON of a database without rounding its integers; it must cost next to nothing when there are none to round.

/** The shortest integer that a double may not hold, 9007199254740992, has so many digits. */
const unsafeDigits = 16;
const integerLiteral = /^-?\d+$/;

/**
 * Like `JSON.parse`, but integers beyond ±(2^53 − 1) become decimal strings.
 * Throws SyntaxError.
 */
export function parseLossless(text: string): unknown {
  return hasLongInteger(text) ? JSON.parse(text, keepDigits) : JSON.parse(text);
}

/** A reviver makes parsing ten times slower, so it is only used where there may be something to keep. */
function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  if (source === undefined) return value;
  return integerLiteral.test(source) || !Number.isFinite(value) ? source : value;
}

/**
 * Whether some run of 16 digits is not a fraction (a double's own digits, 0.30000000000000004, need no second look).
 * Such a run covers a position that is a multiple of 16, so every other one is left unread.
 */
function hasLongInteger(text: string): boolean {
  for (let at = unsafeDigits - 1; at < text.length; at += unsafeDigits) {
    if (!isDigit(text, at)) continue;
    let start = at;
    while (start > 0 && isDigit(text, start - 1)) start--;
    let end = at + 1;
    while (end < text.length && isDigit(text, end)) end++;
    if (end - start >= unsafeDigits && text[start - 1] !== ".") return true;
    at += Math.floor((end - 1 - at) / unsafeDigits) * unsafeDigits;
  }
  return false;
}

function isDigit(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  return code >= 48 && code <= 57;
}
