// The life of one WebSocket of the `ws` engine, from its upgrade to its close: what it brings goes to its events, what it
// is sent goes out in one write, and it is ended when its peer breaks the rules. It must let no exception out.
import type { Duplex } from "node:stream";
import { CLOSINGS } from "../errors.ts";
import type { Frame } from "../protocol/frame.ts";
import type { Attendant, AttendedWebSocket } from "./attended_web_socket.ts";
import type { Heart, Heartbeat } from "./heartbeat.ts";
import type { JoinedWires } from "./joined_wires.ts";
import type { Admission, EngineOptions, Socket, SocketEvents } from "./socket.ts";
import { wireOf } from "./wire.ts";

export interface WsSocketOptions {
  readonly admission: Extract<Admission, { kind: "upgrade" }>;
  /** What all sockets share. */
  readonly shared: WsSocketDeps;
}

export interface WsSocketDeps extends Pick<EngineOptions, "crossed" | "failed"> {
  readonly heartbeat: Heartbeat;
  readonly joined: JoinedWires;
}

type Attended = Pick<
  AttendedWebSocket,
  "OPEN" | "readyState" | "close" | "terminate" | "ping" | "pong" | "attendant"
>;

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
  { webSocket, stream }: { readonly webSocket: Attended; readonly stream: Duplex },
  { admission, shared }: WsSocketOptions,
): void {
  webSocket.attendant = new WsSocket({ webSocket, stream, admission, shared });
}

/** One object for the port, its events and its heart: there are thousands of each. */
class WsSocket implements Socket, Attendant, Heart {
  isAlive = true;
  readonly #webSocket: Attended;
  readonly #stream: Duplex;
  readonly #shared: WsSocketDeps;
  readonly #slice: number;
  /** Null once it is open. */
  #admission: WsSocketOptions["admission"] | null;
  #events: SocketEvents | null = null;
  #lateBytes = 0;
  /** What the newest ping that was not answered yet said; all that arrived together are answered by one pong. */
  #unanswered: Uint8Array | null = null;
  #brokenTimer: ReturnType<typeof setTimeout> | null = null;

  constructor({ webSocket, stream, admission, shared }: WsSocketOptions & {
    readonly webSocket: Attended;
    readonly stream: Duplex;
  }) {
    this.#webSocket = webSocket;
    this.#stream = stream;
    this.#admission = admission;
    this.#shared = shared;
    this.#slice = shared.heartbeat.join(this);
    try {
      this.#events = admission.opened(this);
      this.#admission = null;
    } catch (error) {
      this.#broke(error);
    }
  }

  get bufferedBytes(): number {
    return this.#stream.writableLength;
  }

  send(frames: readonly Frame[]): void {
    if (!this.#isOpen) return;
    const [frame] = frames;
    if (frame === undefined) return;
    // Copying some kilobytes costs less than handing each frame to the stream, and to the kernel, by itself.
    this.#stream.write(frames.length === 1 ? wireOf(frame) : this.#shared.joined.of(frames));
  }

  close(code: number, reason: string): void {
    if (this.#isOpen) this.#webSocket.close(code, reason);
  }

  terminate(): void {
    this.#webSocket.terminate();
  }

  ping(): void {
    if (this.#isOpen) this.#webSocket.ping();
  }

  heardMessage(data: Uint8Array, isBinary: boolean): void {
    this.isAlive = true;
    if (!this.#isOpen) {
      this.#lateBytes += data.length;
      if (this.#lateBytes > MAX_LATE_BYTES) this.terminate();
      return;
    }
    try {
      if (isBinary) this.#events?.binary(data.byteLength);
      else this.#events?.text(String(data));
    } catch (error) {
      this.#broke(error);
    }
  }

  /** One pong for all pings that arrived together, as the protocol allows: a flood of them costs no write each. */
  heardPing(data: Uint8Array): void {
    const isDue = this.#unanswered !== null;
    this.#unanswered = data;
    if (isDue) return;
    queueMicrotask(() => {
      const answered = this.#unanswered;
      this.#unanswered = null;
      if (answered !== null && this.#isOpen) this.#webSocket.pong(answered);
    });
  }

  heardPong(): void {
    this.isAlive = true;
  }

  heardError(error: Error & { readonly code?: string }): void {
    if (OVERSIZE.has(error.code ?? "")) this.#shared.crossed("message_bytes");
    // The close frame is out. What still comes would be read for nothing, and the garbage kept.
    setTimeout(() => this.#stream.pause(), 0);
    this.#brokenTimer = setTimeout(() => this.terminate(), BROKEN_TIMEOUT_MS);
  }

  heardClose(code: number): void {
    this.#webSocket.attendant = null;
    this.#shared.heartbeat.leave(this, this.#slice);
    if (this.#brokenTimer !== null) clearTimeout(this.#brokenTimer);
    try {
      if (this.#events === null) this.#admission?.abandoned();
      else this.#events.closed(code);
    } catch (error) {
      this.#broke(error);
    }
  }

  get #isOpen(): boolean {
    return this.#webSocket.readyState === this.#webSocket.OPEN;
  }

  #broke(error: unknown): void {
    this.#shared.failed("socket_handler_failed", error);
    const { closeCode, sentence } = CLOSINGS.internal;
    this.#webSocket.close(closeCode, sentence);
  }
}
