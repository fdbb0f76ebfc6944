// Says which tracks share a read of a range, and how much of each device it may bring; it reads nothing.
import type { Track } from "./track.ts";

/** Devices whose bounds are this much further apart are read by themselves: one must not make the others' read long. */
const AGE_FACTOR = 4;
/** Samples of all devices that one read brings into memory, roughly. */
const MAX_SAMPLES_IN_ALL = 200_000;
/** Of each of many devices at least so many: several a second through the time in which samples may be late. */
const MIN_SAMPLES = 100;

export const MAX_SAMPLES_PER_READ = 5_000;

/** Splits tracks by how far back they must be read, the youngest first. */
export function byAge(
  tracks: readonly Track[],
  { now, youngestMs }: { readonly now: number; readonly youngestMs: number },
): readonly (readonly Track[])[] {
  const ages = tracks
    .map((track) => ({ track, ageMs: Math.max(youngestMs, now - msOf(track.after)) }))
    .sort((a, b) => a.ageMs - b.ageMs);
  const groups: Track[][] = [];
  let youngest = 0;
  for (const { track, ageMs } of ages) {
    const group = groups.at(-1);
    if (group === undefined || ageMs > youngest * AGE_FACTOR) {
      groups.push([track]);
      youngest = ageMs;
    } else group.push(track);
  }
  return groups;
}

/** Most samples of one device in a read of so many. */
export function samplesPerDevice(deviceCount: number, mostOfOne: number): number {
  const share = Math.floor(MAX_SAMPLES_IN_ALL / deviceCount);
  return Math.min(mostOfOne, Math.max(MIN_SAMPLES, share));
}

function msOf(instant: string): number {
  return Date.parse(`${instant.slice(0, 23)}Z`);
}
