// A trend as a line of the size of a word; what it says is said in the cells beside it, so that it is hidden from readers.
import type { Trend } from "./trend.ts";

const WIDTH = 120;
const HEIGHT = 26;

export function Sparkline({ trend, nowMs }: { readonly trend: Trend; readonly nowMs: number }) {
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path d={trend.path({ nowMs, width: WIDTH, height: HEIGHT })} />
    </svg>
  );
}
