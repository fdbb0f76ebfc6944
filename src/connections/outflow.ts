// What a connection hands to its socket, and for how long the socket has taken nothing: answers always, pushes where they
// fit, history where there is room beside them. It knows no subscription and queues no push.
import { type Clock, delay } from "../clock.ts";
import { type Metrics, NO_METRICS } from "../observe/metrics.ts";
import { type Frame, frameBytes } from "../protocol/frame.ts";
import type { Socket } from "../sockets/socket.ts";

/** Whose socket it is; aborts with it. */
export interface OutflowOwner {
  readonly socket: Socket;
  readonly isEnded: boolean;
  readonly signal: AbortSignal;
}

/** What all share. */
export interface OutflowOptions {
  readonly clock: Clock;
  /** Bytes waiting in the socket, the next push included, above which a push does not fit. */
  readonly highWaterBytes: number;
  readonly metrics?: Pick<Metrics, "sent" | "encoded">;
}

/** Somebody who waits for room. */
interface Waiting {
  readonly signal: AbortSignal;
  readonly serve: () => void;
  readonly leave: () => void;
}

/** History goes on when so much less than the mark waits in the socket: pushes find room beside it. */
const ROOM_SHARE = 0.25;
/** How often a full socket is looked at while history waits: less often the longer it takes nothing. */
const LOOK_MS = 20;
const MAX_LOOK_MS = 160;

export class Outflow {
  readonly #owner: OutflowOwner;
  readonly #options: OutflowOptions;
  /** Since when the socket has been too full to send, on the monotonic clock. */
  #fullSince: number | null = null;
  /** Bytes of answers that were added to a socket that was too full already. */
  #unreadAnswers = 0;
  /** Bytes that were handed to the socket in all. */
  #handedOver = 0;
  /** Null while nobody waits. */
  #waiting: Waiting[] | null = null;
  #isServing = false;

  constructor(owner: OutflowOwner, options: OutflowOptions) {
    this.#owner = owner;
    this.#options = options;
  }

  /** Sends an answer, however full the socket is. False when more answers wait unread than a client may ask for. */
  answer(frame: Frame): boolean {
    const { socket } = this.#owner;
    const { highWaterBytes } = this.#options;
    this.#metrics.encoded(1);
    this.#send([frame], frameBytes(frame));
    if (socket.bufferedBytes <= highWaterBytes) {
      this.#unreadAnswers = 0;
      return true;
    }
    this.#fullSince ??= this.#now();
    // However often it may ask, what waits for it is bounded by the largest push and twice the mark.
    this.#unreadAnswers += frameBytes(frame);
    return this.#unreadAnswers <= highWaterBytes;
  }

  /** Whether a push of so many bytes fits; one that does not is left out, and the socket counts as full. */
  fits(bytes: number): boolean {
    const { bufferedBytes } = this.#owner.socket;
    const { highWaterBytes } = this.#options;
    if (bufferedBytes === 0 || bufferedBytes + bytes <= highWaterBytes) return true;
    this.#fullSince ??= this.#now();
    return false;
  }

  /** Sends a push that fits; where the socket is resumable, with the instant from which its client can come back. */
  push(
    frames: readonly Frame[],
    { bytes, resumeFrom }: { readonly bytes: number; readonly resumeFrom?: string | null },
  ): void {
    this.#fullSince = null;
    this.#send(frames, bytes, resumeFrom);
  }

  /**
   * Sends beside the pushes: asks for the frames when there is room for them, in turn with all others who wait for it,
   * and sends them at once. Resolves then, or when the signal aborts; rejects when asking or sending throws.
   */
  offer(frames: () => readonly Frame[], signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#owner.isEnded) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const serve = () => {
      try {
        const due = frames();
        this.#metrics.encoded(due.filter(({ bytes }) => bytes === null).length);
        if (due.length > 0) this.#send(due, sizeOf(due));
        resolve();
      } catch (error) {
        reject(error);
      }
    };
    this.#waiting ??= [];
    this.#waiting.push({ signal, serve, leave: resolve });
    if (!this.#isServing) void this.#serve();
    return promise;
  }

  /** Milliseconds for which the socket has been too full to send; 0 while it is not. */
  stuckMs(): number {
    if (this.#fullSince !== null && this.#owner.socket.bufferedBytes === 0) {
      this.#fullSince = null;
    }
    return this.#fullSince === null ? 0 : this.#now() - this.#fullSince;
  }

  /** Serves those who wait, one by one; a socket that takes little but something is not stuck. */
  async #serve(): Promise<void> {
    const { clock } = this.#options;
    const { signal, socket } = this.#owner;
    this.#isServing = true;
    let lookMs = LOOK_MS;
    let fullBefore: { readonly since: number | null } | null = null;
    while (this.#next()) {
      if (this.#hasRoom()) {
        if (fullBefore !== null) this.#fullSince = null;
        fullBefore = null;
        lookMs = LOOK_MS;
        this.#waiting?.shift()?.serve();
        continue;
      }
      fullBefore ??= { since: this.#fullSince };
      this.#fullSince ??= this.#now();
      const taken = this.#handedOver - socket.bufferedBytes;
      await delay(clock, lookMs, signal);
      lookMs = Math.min(MAX_LOOK_MS, lookMs * 2);
      if (this.#handedOver - socket.bufferedBytes <= taken) continue;
      this.#fullSince = this.#now();
      fullBefore = { since: null };
    }
    // Nobody looks on: only what else found it full counts from here.
    if (fullBefore !== null) this.#fullSince = fullBefore.since;
    this.#isServing = false;
  }

  /** Lets those go that wait no longer; whether anybody is left. */
  #next(): boolean {
    const isOver = this.#owner.isEnded;
    const waiting: Waiting[] = [];
    for (const one of this.#waiting ?? []) {
      if (isOver || one.signal.aborted) one.leave();
      else waiting.push(one);
    }
    this.#waiting = waiting.length === 0 ? null : waiting;
    return waiting.length > 0;
  }

  #hasRoom(): boolean {
    const { socket } = this.#owner;
    return socket.bufferedBytes <= this.#options.highWaterBytes * ROOM_SHARE;
  }

  #send(frames: readonly Frame[], bytes: number, resumeFrom?: string | null): void {
    const { socket } = this.#owner;
    this.#handedOver += bytes;
    this.#metrics.sent({ frames: frames.length, bytes });
    if (resumeFrom === undefined) socket.send(frames);
    else socket.send(frames, resumeFrom);
  }

  get #metrics(): Pick<Metrics, "sent" | "encoded"> {
    return this.#options.metrics ?? NO_METRICS;
  }

  #now(): number {
    return this.#options.clock.monotonicNow();
  }
}

function sizeOf(frames: readonly Frame[]): number {
  return frames.reduce((bytes, frame) => bytes + frameBytes(frame), 0);
}
