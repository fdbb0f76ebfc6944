// Holds what a client was sent against what the database holds; the only judge of lost, repeated and misplaced samples.
import type { FollowedConnection } from "./following_client.ts";
import { keyOf, type NumberedSample } from "./numbered_sample.ts";

export interface SampleEvidence {
  /** What the database holds. */
  readonly stored: readonly NumberedSample[];
  /** What it acknowledged. */
  readonly acknowledged: readonly NumberedSample[];
  readonly connections: readonly Pick<FollowedConnection, "since" | "deliveries">[];
  /** Whether a sample was written after newer ones, so that it may come after them. */
  readonly isLate: (sample: Pick<NumberedSample, "deviceId" | "timestamp">) => boolean;
}

/** One sentence for each fault, none where nothing was lost, sent twice or out of order. */
export function sampleFaults(evidence: SampleEvidence): readonly string[] {
  return [
    ...storeFaults(evidence),
    ...lossFaults(evidence),
    ...gapFaults(evidence),
    ...connectionFaults(evidence),
  ];
}

/** The database itself must be beyond doubt, or the comparison says nothing. */
function* storeFaults({ stored, acknowledged }: SampleEvidence): Iterable<string> {
  const keys = new Set(stored.map(keyOf));
  for (const sample of acknowledged) {
    if (!keys.has(keyOf(sample))) yield `The database lost ${keyOf(sample)}`;
  }
  const byDevice = Map.groupBy(stored, ({ deviceId }) => deviceId);
  for (const [deviceId, samples] of byDevice) {
    const ordered = samples.toSorted((a, b) => a.timestamp < b.timestamp ? -1 : 1);
    const gap = ordered.findIndex(({ n }, index) => n !== index + 1);
    if (gap !== -1) yield `The database's numbers of ${deviceId} break off before ${gap + 1}`;
  }
}

function* lossFaults({ stored, connections }: SampleEvidence): Iterable<string> {
  const delivered = new Set(connections.flatMap(({ deliveries }) => deliveries.map(keyOf)));
  for (const sample of stored) {
    if (!delivered.has(keyOf(sample))) yield `Missing: ${keyOf(sample)}, number ${sample.n}`;
  }
}

/**
 * A loss must not be healed by the overlap with the next connection. Whatever was not late was stored before the newest
 * that a connection brought, so that the same connection had to bring it.
 */
function* gapFaults({ stored, connections, isLate }: SampleEvidence): Iterable<string> {
  const prompt = stored.filter((sample) => !isLate(sample));
  for (const [index, { since, deliveries }] of connections.entries()) {
    const delivered = new Set(deliveries.map(keyOf));
    const newest = new Map<string, string>();
    for (const { deviceId, timestamp } of deliveries) {
      if (timestamp > (newest.get(deviceId) ?? "")) newest.set(deviceId, timestamp);
    }
    for (const sample of prompt) {
      const { deviceId, timestamp } = sample;
      const isDue = timestamp > (since.get(deviceId) ?? "") &&
        timestamp < (newest.get(deviceId) ?? "");
      if (isDue && !delivered.has(keyOf(sample))) {
        yield `Gap: ${keyOf(sample)}, number ${sample.n}, on connection ${index}`;
      }
    }
  }
}

function* connectionFaults({ stored, connections, isLate }: SampleEvidence): Iterable<string> {
  const numbers = new Map(stored.map((sample) => [keyOf(sample), sample.n]));
  for (const [index, { deliveries }] of connections.entries()) {
    const seen = new Set<string>();
    const newest = new Map<string, string>();
    for (const delivery of deliveries) {
      const { deviceId, timestamp, metrics, from } = delivery;
      const key = keyOf(delivery);
      const where = `${key}, ${from} on connection ${index}`;
      const n = numbers.get(key);
      if (n === undefined) yield `Not in the database: ${where}`;
      else if (Object.keys(metrics).length !== 1 || metrics.n !== n) {
        yield `Not as stored: ${where}: ${JSON.stringify(metrics)} in place of ${n}`;
      }
      if (seen.has(key)) yield `Twice: ${where}`;
      seen.add(key);
      const before = newest.get(deviceId) ?? "";
      // What was late when it came live is in its place when it is read from the database.
      if (timestamp < before && !(from === "live" && isLate(delivery))) {
        yield `Out of order: ${where}, after ${before}`;
      }
      if (timestamp > before) newest.set(deviceId, timestamp);
    }
  }
}
