// Chooses which metric of a device is told first and in what order the others follow; it looks at names and kinds only.
import { describeMetric } from "./describe_metric.ts";

/** The first metric whose name begins so stands for the device, else the first with such a unit. */
const HEADLINES = ["temp", "level", "pressure", "power", "signal", "flow", "speed"];
const HEADLINE_SUFFIXES = ["c", "pct", "bar", "hpa", "kw", "w", "v", "rpm"];
const KINDS = ["number", "boolean", "string"];

export interface MetricOrder {
  /** Null where no metric is a number. */
  readonly headline: string | null;
  readonly others: readonly string[];
}

/** The headline, then numbers, yes or no, words, each by name. */
export function orderMetrics(metrics: Readonly<Record<string, unknown>>): MetricOrder {
  const rank = (name: string) => KINDS.indexOf(typeof metrics[name]) >>> 0;
  const names = Object.keys(metrics).sort((one, other) =>
    rank(one) - rank(other) || (one < other ? -1 : 1)
  );
  const numbers = names.filter((name) => typeof metrics[name] === "number");
  const headline = [
    ...HEADLINES.map((start) => numbers.find((name) => name.startsWith(start))),
    ...HEADLINE_SUFFIXES.map((suffix) =>
      numbers.find((name) => describeMetric(name).suffix === suffix)
    ),
    numbers[0],
  ].find((name) => name !== undefined) ?? null;
  return { headline, others: names.filter((name) => name !== headline) };
}
