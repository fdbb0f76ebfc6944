// Runs what is fetched of the past beside a connection's pushes: a fault of ours in it ends the connection, as one in a
// push does. It never rejects.
import { CLOSINGS } from "../errors.ts";
import type { Log } from "../observe/log.ts";
import type { Connection } from "./connection.ts";

export interface GuardHistoryOptions {
  readonly log: Log;
  /** Falls when nobody wants any of it: what fails from then on is no fault. */
  readonly signal: AbortSignal;
}

export async function guardHistory(
  connection: Connection,
  { log, signal }: GuardHistoryOptions,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (signal.aborted) return;
    const { id, group } = connection;
    log.error("history_failed", { connection: id, tenant: group.tenantId, error });
    const { closeCode, sentence } = CLOSINGS.internal;
    connection.close(closeCode, sentence);
  }
}
