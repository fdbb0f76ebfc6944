// Reads the metrics of a jsonb column; it must round no integer and drop no digit that JSON can say.
import type { MetricValue } from "../../protocol/server_messages.ts";
import { parseLossless } from "../lossless_json.ts";

const WRITTEN_OUT = /\d{21}/;
const STRING_OR_WRITTEN_OUT = /"(?:[^"\\]|\\.)*"|(?<![.\d])-?\d{21,}(?![\d.])/g;

/** The metrics of a jsonb value as text, those of `dropped` left out. Throws TypeError where it is no object. */
export function readMetrics(
  text: string | null,
  dropped: ReadonlySet<string>,
): Readonly<Record<string, MetricValue>> {
  const stored = text === null ? null : parseLossless(foldDoubles(text));
  if (typeof stored !== "object" || stored === null || Array.isArray(stored)) {
    const kind = stored === null
      ? "null"
      : Array.isArray(stored)
      ? "an array"
      : `a ${typeof stored}`;
    throw new TypeError(
      `Cannot read metrics: a JSON object is expected, the stored value is ${kind}`,
    );
  }
  // `fromEntries` defines properties, so that a metric called `__proto__` is one and no more.
  return Object.fromEntries(
    Object.entries(stored).filter(([name, value]) =>
      value !== null && !dropped.has(name) && !name.startsWith("iox::")
    ),
  ) as Readonly<Record<string, MetricValue>>;
}

/**
 * jsonb writes 1.5e300 out, in 301 digits. An integer of more than 64 bits whose shortest double says the very same is
 * such a double and gets its exponent back; every other keeps its digits.
 */
function foldDoubles(text: string): string {
  if (!WRITTEN_OUT.test(text)) return text;
  return text.replace(STRING_OR_WRITTEN_OUT, (token) => {
    const value = Number(token);
    if (token.startsWith('"') || !Number.isFinite(value)) return token;
    const [digits = ""] = value.toExponential().split("e");
    return digits.replace(".", "") === token.replace(/0+$/, "") ? String(value) : token;
  });
}
