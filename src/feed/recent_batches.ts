// What of a device's batches could be read once more, as it is later than their floor: whoever begins to follow every
// sample must know it, or a read that goes back to the floor would tell it what was stored before.
import type { DeviceBatch } from "./seam.ts";

/** The newest batch, behind those before it that hold something later than its floor. */
export type RecentBatches = readonly DeviceBatch[];

export function withBatch(recent: RecentBatches, batch: DeviceBatch): RecentBatches {
  return [...laterThan(recent, batch.floor), batch];
}

/** Those that hold something later than the instant. */
export function laterThan(batches: RecentBatches, instant: string): RecentBatches {
  return batches.filter((batch) => (newestIn(batch) ?? "") > instant);
}

/** The batch with which one begins who comes now: it holds no samples, and names those that are behind it. */
export function beginningAt(recent: RecentBatches): DeviceBatch | null {
  const newest = recent.at(-1);
  if (newest === undefined) return null;
  const seen = timestampsIn(recent).filter((timestamp) => timestamp > newest.floor).toSorted();
  return { ...newest, samples: [], seen };
}

export function timestampsIn(batches: RecentBatches): readonly string[] {
  return batches.flatMap(({ samples, seen = [] }) => [
    ...seen,
    ...samples.map(({ sample }) => sample.timestamp),
  ]);
}

/** Null where none of them holds or names any. */
export function newestTimestamp(batches: RecentBatches): string | null {
  let newest: string | null = null;
  for (const batch of batches) {
    const timestamp = newestIn(batch);
    if (timestamp !== null && (newest === null || timestamp > newest)) newest = timestamp;
  }
  return newest;
}

function newestIn({ samples, seen }: DeviceBatch): string | null {
  const sample = samples.at(-1)?.sample.timestamp;
  const named = seen?.at(-1);
  if (sample === undefined || named === undefined) return sample ?? named ?? null;
  return sample > named ? sample : named;
}
