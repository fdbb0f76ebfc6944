// Puts together what a database holds of one device and one instant in several rows; it must lose no metric.
import type { MetricValue, Sample } from "./telemetry_source.ts";

/** Where both know a metric, the first row's value stays. */
export function mergeSamples(first: Sample, second: Sample): Sample {
  const metrics = new Map<string, MetricValue>([
    ...Object.entries(second.metrics),
    ...Object.entries(first.metrics),
  ]);
  return { timestamp: first.timestamp, metrics: Object.fromEntries(metrics) };
}
