// Writes a value as people read it, whatever JSON brought; digits are only left out, never made up.
import { formatSpan } from "./format_time.ts";
import { text } from "./strings.ts";

export const MAX_DECIMALS = 3;
const HOUR_SECONDS = 3_600;

export interface ShownValue {
  readonly text: string;
  readonly unit: string;
}

/** Digits after the point that a value has, as far as they are shown. */
export function decimalsOf(value: unknown): number {
  if (typeof value !== "number" || Number.isInteger(value)) return 0;
  if (/e-/.test(String(value))) return MAX_DECIMALS;
  return Math.min(MAX_DECIMALS, (String(value).split(".")[1] ?? "").length);
}

export function formatValue(
  value: unknown,
  { unit, decimals }: { readonly unit: string; readonly decimals: number },
): ShownValue {
  if (value === undefined || value === null) return { text: "–", unit: "" };
  if (typeof value === "boolean") return { text: value ? text.yes : text.no, unit: "" };
  if (typeof value === "string") return { text: value, unit };
  if (typeof value !== "number") return { text: JSON.stringify(value), unit };
  if (unit === "s" && value >= HOUR_SECONDS) {
    return { text: formatSpan(value * 1_000), unit: "" };
  }
  return { text: formatNumber(value, { least: decimals, most: decimals }), unit };
}

/** With so many digits after the point; by its power of ten where those would be made up, or none of its own. */
export function formatNumber(
  value: number,
  { least, most }: { readonly least: number; readonly most: number },
): string {
  const size = Math.abs(value);
  const isTooSmall = most === MAX_DECIMALS && size !== 0 && size < 10 ** -MAX_DECIMALS / 2;
  const shown = size > Number.MAX_SAFE_INTEGER || isTooSmall
    ? value.toExponential(2).replace(/\.?0*e\+?/, "e")
    : value.toLocaleString("en", { minimumFractionDigits: least, maximumFractionDigits: most });
  return shown.replaceAll("-", "−");
}
