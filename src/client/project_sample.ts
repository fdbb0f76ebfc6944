// What of a sample a listener asked for. Pure.
import type { MetricValue, Sample } from "../protocol/server_messages.ts";

/** The sample with these metrics, all where `names` is null; null where it has none of them. */
export function projectSample(sample: Sample, names: readonly string[] | null): Sample | null {
  if (names === null) return sample;
  const found = names.filter((name) => Object.hasOwn(sample.metrics, name));
  if (found.length === 0) return null;
  const metrics = Object.fromEntries(
    found.map((name) => [name, sample.metrics[name] as MetricValue]),
  );
  return { timestamp: sample.timestamp, metrics };
}
