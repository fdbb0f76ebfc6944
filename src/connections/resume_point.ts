// From where a client may come back and miss nothing: said of a connection right after a push. It may be earlier than it
// had to be, so that something repeats, and must never be later.
import { instantOfMs } from "../protocol/nano_instant.ts";
import type { Connection } from "./connection.ts";

export interface ResumePointOptions {
  /** When the oldest of what was pushed was read, in milliseconds since the epoch. */
  readonly readAt: number;
  /** How late a sample may be stored and still be pushed. */
  readonly lateMs: number;
}

/** The latest instant before which this client has everything; null while it does not have that yet. */
export function resumePoint(
  { held: { named, implied }, all, alerts, group }: Connection,
  { readAt, lateMs }: ResumePointOptions,
): string | null {
  if (all?.isHeld() === true) return null;
  const isFollowing = named.size > 0 || all !== null;
  // What is stored while its devices can't be read is still to come.
  if (isFollowing && group.statusOf("telemetry")?.state === "degraded") return null;
  let earliest = readAt - lateMs;
  for (const subscriptions of [named, implied]) {
    for (const subscription of subscriptions.values()) {
      const point = subscription.resumePointMs(lateMs);
      if (point === null) return null;
      if (point < earliest) earliest = point;
    }
  }
  const told = alerts?.resumePointMs(lateMs);
  return told === null ? null : instantOfMs(Math.min(earliest, told ?? earliest));
}
