// Whether a sample says anything new after another one. Pure.
import type { Sample } from "../protocol/server_messages.ts";

/** The same instant with the same metrics; nothing is the same as none. */
export function isSameSample(one: Sample | null, other: Sample | null): boolean {
  if (one === null || other === null || one.timestamp !== other.timestamp) return false;
  const names = Object.keys(one.metrics);
  return names.length === Object.keys(other.metrics).length &&
    names.every((name) =>
      JSON.stringify(one.metrics[name]) === JSON.stringify(other.metrics[name])
    );
}
