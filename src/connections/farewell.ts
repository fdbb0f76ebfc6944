// Takes leave of every client when the process goes: told when to come back where they asked for it, closed spread over
// the time there is so that they don't all come back at once, and ended where they don't answer.
import { type Clock, delay } from "../clock.ts";
import { CLOSINGS } from "../errors.ts";
import type { Connection } from "./connection.ts";
import type { ConnectionManager } from "./connection_manager.ts";

export interface FarewellOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** Time for everything. */
  readonly withinMs: number;
}

/** Share of the time over which closes are spread; the rest is for the answers. */
const SPREAD_SHARE = 0.7;
/** Closes are sent in as many portions. */
const PORTIONS = 50;
/** A client is asked to wait up to so many times the spread, so that others take them in one by one. */
const RECONNECT_SPREADS = 2;
const LOOK_MS = 20;

/** Closes every connection with 1012 and resolves when all are gone or the time is over. */
export async function farewell(
  manager: ConnectionManager,
  { clock, random, withinMs }: FarewellOptions,
): Promise<void> {
  const endAt = clock.monotonicNow() + withinMs;
  const spreadMs = withinMs * SPREAD_SHARE;
  const leaving: Connection[] = [...manager.connections];
  for (const connection of leaving) {
    if (!connection.has("notices")) continue;
    const after_ms = Math.round(random() * spreadMs * RECONNECT_SPREADS);
    connection.send({ type: "reconnect", after_ms });
  }
  const { closeCode, sentence } = CLOSINGS.draining;
  const { signal } = new AbortController();
  const portion = Math.max(1, Math.ceil(leaving.length / PORTIONS));
  for (let i = 0; i < leaving.length; i += portion) {
    for (const connection of leaving.slice(i, i + portion)) connection.close(closeCode, sentence);
    const pauseMs = leaving.length <= portion ? 0 : spreadMs / Math.ceil(leaving.length / portion);
    if (i + portion < leaving.length) await delay(clock, pauseMs, signal);
  }
  while (manager.connectionCount > 0 && clock.monotonicNow() < endAt) {
    await delay(clock, LOOK_MS, signal);
  }
  for (const { socket } of manager.connections) socket.terminate();
}
