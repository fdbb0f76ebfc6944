// What the client asks on one connection: each message with an id by which its answer is known, none faster than the
// service takes them, and again those that it had no time to read.
import type { Clock, TimerHandle } from "../clock.ts";
import type { AnswerMessage, ServerMessage } from "../protocol/server_messages.ts";

export interface RequestsOptions {
  readonly clock: Clock;
  readonly send: (message: unknown) => void;
  readonly nextId: () => number;
  /** What the service takes; ten times as many in a burst. */
  readonly messagesPerSecond: number;
}

interface Request {
  readonly id: number;
  readonly message: object;
  readonly answered: (answer: AnswerMessage) => void;
}

/** Of the burst and the rate some are left for pings, and for clocks that are read at two places. */
const BURST = 9;
const SHARE = 0.9;

export class Requests implements Disposable {
  readonly #options: RequestsOptions;
  readonly #unanswered = new Map<number, Request>();
  #queue: Request[] = [];
  #allowance: number;
  #countedAt: number;
  #timer: TimerHandle | null = null;

  constructor(options: RequestsOptions) {
    this.#options = options;
    this.#allowance = options.messagesPerSecond * BURST;
    this.#countedAt = options.clock.monotonicNow();
  }

  /** Sends a message as soon as the service takes it, and returns its id. */
  ask(message: object, answered: (answer: AnswerMessage) => void): number {
    const request = { id: this.#options.nextId(), message, answered };
    this.#queue.push(request);
    this.#drain();
    return request.id;
  }

  /** Takes what answers a request; anything else is left alone. */
  receive(message: ServerMessage): void {
    if (message.type === "error" && message.code === "rate_limited") {
      const refused = typeof message.id === "number" ? this.#unanswered.get(message.id) : undefined;
      this.#sendAgain(refused, message.retry_after_ms ?? 1_000);
      return;
    }
    // A page of history carries the id, too, and answers nothing.
    if (!("id" in message) || message.type === "history" || typeof message.id !== "number") return;
    const request = this.#unanswered.get(message.id);
    this.#unanswered.delete(message.id);
    request?.answered(message as AnswerMessage);
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) this.#options.clock.clearTimeout(this.#timer);
    this.#timer = null;
    this.#queue = [];
    this.#unanswered.clear();
  }

  /** The request that was refused; where the error names none, whatever was not answered may be it. */
  #sendAgain(refused: Request | undefined, afterMs: number): void {
    const queued = new Set(this.#queue);
    const again = (refused === undefined ? [...this.#unanswered.values()] : [refused])
      .filter((request) => !queued.has(request));
    this.#queue = [...again, ...this.#queue];
    this.#allowance = 0;
    this.#countedAt = this.#options.clock.monotonicNow() + afterMs;
    this.#drain();
  }

  #drain(): void {
    const { clock, send, messagesPerSecond } = this.#options;
    const perMs = messagesPerSecond * SHARE / 1_000;
    const now = clock.monotonicNow();
    if (now > this.#countedAt) {
      const earned = (now - this.#countedAt) * perMs;
      this.#allowance = Math.min(messagesPerSecond * BURST, this.#allowance + earned);
      this.#countedAt = now;
    }
    for (const request of this.#queue.splice(0, Math.floor(this.#allowance))) {
      this.#allowance--;
      this.#unanswered.set(request.id, request);
      send({ ...request.message, id: request.id });
    }
    if (this.#queue.length === 0 || this.#timer !== null) return;
    const waitMs = Math.max(0, this.#countedAt - now) + Math.ceil((1 - this.#allowance) / perMs);
    this.#timer = clock.setTimeout(() => {
      this.#timer = null;
      this.#drain();
    }, waitMs);
  }
}
