// Listens to a channel once, and says something there to see whether it is heard; for whoever wants to know before the
// service listens. It must leave nothing listening behind.
import { type Clock, delay } from "../../clock.ts";
import type { Log } from "../../observe/log.ts";
import { SourceError } from "../source_error.ts";
import { quoteIdentifier } from "./quote_identifier.ts";
import { parseServerAddress } from "./server_address.ts";
import { ServerConnection, type ServerConnectionOptions } from "./server_connection.ts";

export interface ChannelTrial {
  readonly url: string;
  readonly channel: string;
  /** What is said; null: the channel is only listened to. */
  readonly payload: string | null;
  /** Bounds each connection's beginning, and then the wait for what was said. */
  readonly timeoutMs: number;
  /** PEM of the authorities that may vouch for the server. */
  readonly caCertificate?: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Throws SourceError; an aborted signal rejects with its reason. */
export async function tryChannel(trial: ChannelTrial): Promise<void> {
  const { url, channel, payload, timeoutMs, clock, signal } = trial;
  const heard = new AbortController();
  const options: ServerConnectionOptions = {
    address: parseServerAddress(url),
    ...(trial.caCertificate === undefined ? {} : { caCertificate: trial.caCertificate }),
    prepare: false,
    connectTimeoutMs: timeoutMs,
    log: trial.log,
    clock,
  };
  const listener = await connectionThat(`LISTEN ${quoteIdentifier(channel)}`, {
    parameters: [],
    // Others may say other things there.
    options: { ...options, notified: (_channel, said) => said === payload && heard.abort() },
    signal,
  });
  try {
    if (payload === null) return;
    // By another connection: through a pooler, one that listens hears itself and nobody else.
    const speaker = await connectionThat("SELECT pg_notify($1, $2)", {
      parameters: [channel, payload],
      options,
      signal,
    });
    await speaker.close();
    await delay(clock, timeoutMs, AbortSignal.any([heard.signal, signal]));
    signal.throwIfAborted();
    if (heard.signal.aborted) return;
    throw new SourceError(
      "unavailable",
      `PostgreSQL took LISTEN and NOTIFY, but nothing was heard within ${timeoutMs} ms`,
    );
  } finally {
    await listener.close();
  }
}

/** A connection that has run the statement. */
function connectionThat(
  text: string,
  { parameters, options, signal }: {
    readonly parameters: string[];
    readonly options: ServerConnectionOptions;
    readonly signal: AbortSignal;
  },
): Promise<ServerConnection> {
  return ServerConnection.open(options, {
    signal,
    begin: async (connection) => {
      // By itself: of a login that is refused only the first query is told.
      await connection.answerOf(connection.driver.unsafe("SELECT 1"));
      await connection.answerOf(connection.driver.unsafe(text, parameters, { prepare: false }));
      return connection;
    },
  });
}
