// Bounds the requests of one connection that wait for their answers: `node:http` would hand over all that are piled up,
// and hold every answer until the peer takes it. Who asks beyond it is ended, never told.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** Browsers and proxies wait for each answer; who piles requests up may do so a little. */
const MAX_UNANSWERED = 4;

type Listener = (request: IncomingMessage, response: ServerResponse) => unknown;

/** The listener, asked for no more requests of a connection at once than may wait. */
export function boundUnanswered(listener: Listener): Listener {
  const unanswered = new WeakMap<Duplex, number>();
  // Made once, not for each request.
  const answered = function (this: ServerResponse) {
    const { socket } = this.req;
    unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1);
  };
  return (request, response) => {
    const { socket } = request;
    const waiting = (unanswered.get(socket) ?? 0) + 1;
    // Reading no further would not do: what was read is handed over to its end, thousands of requests.
    if (waiting > MAX_UNANSWERED) return socket.destroy();
    unanswered.set(socket, waiting);
    response.once("close", answered);
    return listener(request, response);
  };
}
