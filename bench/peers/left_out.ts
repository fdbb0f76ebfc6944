// The row of a peer that is not on this machine. It must never look like a result.
import type { Row } from "../bench.ts";

export function leftOut(what: string, how: string): Row {
  return { what, value: `left out: not installed (${how})`, isMet: null };
}
