// What a connection does with what its client sends: decode, act, answer. A message that can't be taken is answered
// and forgotten; it must never touch the subscriptions or the socket.
import { MESSAGE_ERRORS } from "../errors.ts";
import type { Log } from "../observe/log.ts";
import type { ClientMessage } from "../protocol/client_messages.ts";
import { decode } from "../protocol/decode.ts";
import type { SocketEvents } from "../sockets/socket.ts";
import type { Connection } from "./connection.ts";
import type { ConnectionManager } from "./connection_manager.ts";

export interface SessionOptions {
  readonly manager: ConnectionManager;
  readonly log: Log;
}

/** The events of a connected socket. */
export function session(
  connection: Connection,
  { manager, log }: SessionOptions,
): SocketEvents {
  return {
    text(data) {
      if (connection.signal.aborted) return;
      const decoded = decode(data);
      if (!decoded.ok) {
        const { message, code } = decoded.error;
        connection.send({ type: "error", message, code });
        return;
      }
      try {
        act(connection, { message: decoded.message, manager });
      } catch (error) {
        log.error("message_failed", { connection: connection.id, error });
        connection.send(errorOf("internal"));
      }
    },
    binary() {
      connection.send(errorOf("unsupported_data"));
    },
    closed(code) {
      manager.disconnect(connection, code);
    },
  };
}

function act(
  connection: Connection,
  { message, manager }: { message: ClientMessage; manager: ConnectionManager },
): void {
  const answer = message.action === "subscribe" ? "subscribed" : "unsubscribed";
  if (message.type === "alerts") {
    if (message.action === "subscribe") manager.subscribeAlerts(connection);
    else manager.unsubscribeAlerts(connection);
    connection.send({ type: answer, channel: "alerts" });
  } else {
    const { device_id } = message;
    if (message.action === "subscribe") manager.subscribeDevice(connection, device_id);
    else manager.unsubscribeDevice(connection, device_id);
    connection.send({ type: answer, channel: "device", device_id });
  }
  // The answer is out: what is already known may follow it.
  if (message.action === "subscribe") connection.wake();
}

function errorOf(code: keyof typeof MESSAGE_ERRORS) {
  return { type: "error", message: MESSAGE_ERRORS[code].sentence, code } as const;
}
