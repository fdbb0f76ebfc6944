// Makes text of others safe to show: what a device or an alert is called must never move a cursor, recolour a terminal or
// forge a line.

/** Control and format characters, and the separators that end lines. */
const UNSAFE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** Each unsafe character as its escape; in JSON, where only strings can hold one, the text means the same as before. */
export function printable(text: string): string {
  return text.toWellFormed().replace(
    UNSAFE,
    (unsafe) =>
      unsafe.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join(
        "",
      ),
  );
}
