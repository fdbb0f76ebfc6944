// How far a subscription has come, and where one begins.
import type { Connection } from "./connection.ts";

export interface Progress {
  /** The read that it was last sent the outcome of; a state is due when its read is a later one. */
  seq: number;
  /** Whether it still waits for its first value. */
  isOwed: boolean;
}

/** Says where a connection's new subscription begins with what was read last, which may be too old; null where nothing was. */
export type Begin = (
  connection: Connection,
  state: { readonly seq: number; readonly readAt: number } | null,
) => Progress;
