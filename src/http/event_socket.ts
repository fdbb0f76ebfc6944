// The socket port over a stream of server-sent events: one event a message, named by its type. Its client can only
// listen; how an event is framed is the library's doing. It must keep nothing that a reader has left behind.
import { Buffer } from "node:buffer";
import { encode, type EventSourceChunk } from "eventsource-encoder";
import { ABNORMAL_CLOSE, type ClosingName, CLOSINGS } from "../errors.ts";
import { type Frame, frameOf, frameText } from "../protocol/frame.ts";
import type { Socket, SocketEvents } from "../sockets/socket.ts";

/** Bytes that are handed over at once: engines look after each chunk whether their peer reads on, and not within one. */
const CHUNK_BYTES = 64 * 1_024;
/** Of several closings with one code, the one that says what became of an open stream. */
const PREFERRED: readonly ClosingName[] = ["invalid_token", "too_many_connections"];

const encoder = new TextEncoder();

export class EventSocket implements Socket {
  readonly isResumable = true;
  /** The body of the answer; it takes what waits as its reader asks for more, and no sooner. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #terminatePeer: () => void;
  readonly #ended = Promise.withResolvers<void>();
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #events: SocketEvents | null = null;
  #waiting: Uint8Array[] = [];
  #bufferedBytes = 0;
  #isWanted = false;
  #closeCode: number | null = null;
  #isEnded = false;

  /** `terminatePeer` ends the connection that the stream is sent over. */
  constructor(terminatePeer: () => void) {
    this.#terminatePeer = terminatePeer;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#controller = controller),
      pull: () => {
        this.#isWanted = true;
        this.#handOver();
      },
      cancel: () => this.#end(),
    }, { highWaterMark: 0 });
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** Resolves when the stream is over, whoever ended it. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Names who is told of the end. */
  open(events: SocketEvents): void {
    this.#events = events;
    if (this.#isEnded) events.closed(this.#closeCode ?? ABNORMAL_CLOSE);
  }

  /** Without a frame, tells the client from where to come back and nothing else. */
  send(frames: readonly Frame[], resumeFrom: string | null = null): void {
    if (this.#closeCode !== null || this.#isEnded) return;
    for (const [index, frame] of frames.entries()) {
      this.#wait(eventOf(frame, index === frames.length - 1 ? resumeFrom : null));
    }
    if (frames.length === 0 && resumeFrom !== null) this.#wait(blockOf({ id: resumeFrom }));
    this.#handOver();
  }

  /** Keeps proxies from taking a quiet stream for a dead one; says nothing to who has not taken the last word. */
  keepAwake(): void {
    if (this.#bufferedBytes > 0 || this.#closeCode !== null || this.#isEnded) return;
    this.#wait(blockOf({ comment: "" }));
    this.#handOver();
  }

  close(code: number, reason: string): void {
    if (this.#closeCode !== null || this.#isEnded) return;
    this.#closeCode = code;
    this.#wait(eventOf(frameOf({ type: "error", message: reason, code: closingOf(code) })));
    this.#handOver();
  }

  terminate(): void {
    if (this.#isEnded) return;
    // Before its end is written, which a peer that is cut off must not take for a whole answer.
    this.#terminatePeer();
    if (!this.#isEnded) this.#controller?.close();
    this.#end();
  }

  #wait(block: Uint8Array): void {
    this.#waiting.push(block);
    this.#bufferedBytes += block.byteLength;
  }

  /** Hands over what waits if it was asked for; once all is taken, a stream that was closed ends. */
  #handOver(): void {
    if (!this.#isWanted || this.#isEnded) return;
    if (this.#waiting.length > 0) {
      this.#isWanted = false;
      const chunk = this.#take();
      this.#bufferedBytes -= chunk.byteLength;
      this.#controller?.enqueue(chunk);
    } else if (this.#closeCode !== null) {
      this.#controller?.close();
      this.#end();
    }
  }

  /** The first bytes that wait, as many as are handed over at once. */
  #take(): Uint8Array {
    const blocks: Uint8Array[] = [];
    let room = CHUNK_BYTES;
    while (room > 0) {
      const block = this.#waiting.shift();
      if (block === undefined) break;
      const fitting = block.subarray(0, room);
      if (fitting.byteLength < block.byteLength) this.#waiting.unshift(block.subarray(room));
      blocks.push(fitting);
      room -= fitting.byteLength;
    }
    const [only] = blocks;
    return blocks.length === 1 && only !== undefined ? only : Buffer.concat(blocks);
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#waiting = [];
    this.#bufferedBytes = 0;
    this.#ended.resolve();
    this.#events?.closed(this.#closeCode ?? ABNORMAL_CLOSE);
  }
}

/** The bytes of a frame's event, made once for all who are sent it without an id of their own. */
function eventOf(frame: Frame, id: string | null = null): Uint8Array {
  const event = { event: frame.message.type, data: frameText(frame) };
  return id === null ? frame.event ??= blockOf(event) : blockOf({ ...event, id });
}

function blockOf(chunk: EventSourceChunk): Uint8Array {
  return encoder.encode(encode(chunk));
}

/** The name of a closing, which says what a WebSocket's close code says. */
function closingOf(code: number): ClosingName {
  const known = Object.entries(CLOSINGS) as Array<[ClosingName, { closeCode: number | null }]>;
  return PREFERRED.find((name) => CLOSINGS[name].closeCode === code) ??
    known.find(([, { closeCode }]) => closeCode === code)?.[0] ?? "internal";
}
