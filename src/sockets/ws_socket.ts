// The life of one WebSocket of the `ws` engine, from its upgrade to its close: what it brings goes to its events, what it
// is sent goes out in one write, and it is ended when its peer breaks the rules. It must let no exception out.
import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
// @ts-types="./ws.d.ts"
import type { WebSocket } from "ws";
import type { Heartbeat } from "./heartbeat.ts";
import type { Admission, EngineOptions, Socket, SocketEvents } from "./socket.ts";
import { wireOf } from "./wire.ts";

export interface WsSocketOptions {
  readonly admission: Extract<Admission, { kind: "upgrade" }>;
  readonly heartbeat: Heartbeat;
  readonly crossed: EngineOptions["crossed"];
  readonly failed: EngineOptions["failed"];
}

/** After a message over the limit or against the protocol nothing more is read, and the connection is ended this soon. */
const BROKEN_TIMEOUT_MS = 1_000;
/** What may have been under way when the service closed; who sends more does not mean to answer. */
const MAX_LATE_BYTES = 256 * 1_024;
const OVERSIZE = new Set([
  "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH",
  "WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH",
]);

/** Opens the port of a WebSocket that `ws` has just upgraded. */
export function openWsSocket(
  { webSocket, stream }: { readonly webSocket: WebSocket; readonly stream: Duplex },
  { admission, heartbeat, crossed, failed }: WsSocketOptions,
): void {
  let events: SocketEvents | null = null;
  let lateBytes = 0;
  const guarded = (act: () => void) => {
    try {
      act();
    } catch (error) {
      failed("socket_handler_failed", error);
      webSocket.close(1011, "Internal error");
    }
  };
  const pulse = heartbeat.join({
    ping: () => webSocket.readyState === webSocket.OPEN && webSocket.ping(),
    terminate: () => webSocket.terminate(),
  });
  webSocket.on("pong", pulse.heard);
  answerPings(webSocket);
  webSocket.on("error", (error) => {
    if (OVERSIZE.has((error as { code?: string }).code ?? "")) crossed("message_bytes");
    // The close frame is out. What still comes would be read for nothing, and the garbage kept.
    setTimeout(() => stream.pause(), 0);
    const timer = setTimeout(() => webSocket.terminate(), BROKEN_TIMEOUT_MS);
    webSocket.once("close", () => clearTimeout(timer));
  });
  webSocket.on("message", (data, isBinary) => {
    pulse.heard();
    if (webSocket.readyState !== webSocket.OPEN) {
      lateBytes += data.length;
      if (lateBytes > MAX_LATE_BYTES) webSocket.terminate();
      return;
    }
    guarded(() => isBinary ? events?.binary(data.byteLength) : events?.text(String(data)));
  });
  webSocket.once("close", (code) => {
    pulse.leave();
    guarded(() => events === null ? admission.abandoned() : events.closed(code));
  });
  guarded(() => events = admission.opened(portOf(webSocket, stream)));
}

/** One pong for all pings that arrived together, as the protocol allows: a flood of them costs no write each. */
function answerPings(webSocket: WebSocket): void {
  let newest: Uint8Array | null = null;
  webSocket.on("ping", (data) => {
    const isDue = newest !== null;
    newest = data;
    if (isDue) return;
    queueMicrotask(() => {
      const answered = newest;
      newest = null;
      if (answered !== null && webSocket.readyState === webSocket.OPEN) webSocket.pong(answered);
    });
  });
}

function portOf(webSocket: WebSocket, stream: Duplex): Socket {
  return {
    get bufferedBytes() {
      return stream.writableLength;
    },
    send(frames) {
      if (webSocket.readyState !== webSocket.OPEN) return;
      const [frame] = frames;
      if (frame === undefined) return;
      // Copying some kilobytes costs less than handing each frame to the stream, and to the kernel, by itself.
      stream.write(frames.length === 1 ? wireOf(frame) : Buffer.concat(frames.map(wireOf)));
    },
    close(code, reason) {
      if (webSocket.readyState === webSocket.OPEN) webSocket.close(code, reason);
    },
    terminate() {
      webSocket.terminate();
    },
  };
}
