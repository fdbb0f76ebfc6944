// Puts the numbers of several threads together, as if one had counted them. It looks at nothing itself.
import { AggregatorRegistry } from "prom-client";
import type { MetricObject } from "prom-client";

/** All metrics of one thread, as plain data. */
export type MetricFamilies = readonly MetricObject[];

/** In Prometheus' text format. */
export async function mergedText(threads: readonly MetricFamilies[]): Promise<string> {
  return await AggregatorRegistry.aggregate(threads.map((families) => [...families])).metrics();
}

/** What was counted, without what was merely so at the moment: for a thread that has ended. */
export async function mergedCounts(threads: readonly MetricFamilies[]): Promise<MetricFamilies> {
  const merged = AggregatorRegistry.aggregate(
    threads.map((families) => families.filter(({ type }) => String(type) !== "gauge")),
  );
  return await merged.getMetricsAsJSON();
}
