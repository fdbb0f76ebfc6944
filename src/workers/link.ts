// Questions and answers between two threads, as JSON over whatever carries texts in order. It knows no thread, and what
// it brings is plain data: a Map, a Date or a function must never be put into it.
import { HistoryError } from "../feed/history_error.ts";

/** What may be asked, by name: what goes along, and what comes back. */
export type Questions<Named> = {
  readonly [Name in keyof Named]: readonly [asked: unknown, answered: unknown];
};

/** Answers each question; what is thrown is thrown to whoever asked. The signal falls when nobody waits any more. */
export type Answers<Asked> = {
  readonly [Name in keyof Asked]: Asked[Name] extends readonly [infer Question, infer Answer]
    ? (asked: Question, signal: AbortSignal) => Answer | Promise<Answer>
    : never;
};

export interface LinkOptions<Ours> {
  readonly answers: Answers<Ours>;
  readonly send: (text: string) => void;
  /** Told of what was told and could not be done: nobody waits for it. */
  readonly failed: (error: unknown) => void;
}

interface Fault {
  readonly message: string;
  /** Only of a question about the past that has no answer now. */
  readonly retryAfterMs: number | null;
}

type Parcel =
  | readonly ["tell", name: string, asked: unknown]
  | readonly ["ask", name: string, asked: unknown, id: number]
  | readonly ["answered", id: number, answer: unknown]
  | readonly ["failed", id: number, fault: Fault]
  | readonly ["given_up", id: number];

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** One end of the line; `Theirs` is what the other end answers. */
export class Link<Theirs extends Questions<Theirs>, Ours extends Questions<Ours>> {
  readonly #options: LinkOptions<Ours>;
  readonly #waiting = new Map<number, Waiting>();
  readonly #answering = new Map<number, AbortController>();
  #lastId = 0;
  #outgoing: Parcel[] = [];
  #closed: Error | null = null;

  constructor(options: LinkOptions<Ours>) {
    this.#options = options;
  }

  /** Rejects with what the other end threw, with the signal's reason, or when the line is closed. */
  ask<Name extends keyof Theirs & string>(
    name: Name,
    asked: Theirs[Name][0],
    signal?: AbortSignal,
  ): Promise<Theirs[Name][1]> {
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    if (this.#closed !== null) return Promise.reject(this.#closed);
    const id = ++this.#lastId;
    return new Promise<unknown>((resolve, reject) => {
      const giveUp = () => {
        this.#waiting.delete(id);
        this.#post(["given_up", id]);
        reject(signal?.reason);
      };
      const settled = <Value>(settle: (value: Value) => void) => (value: Value) => {
        signal?.removeEventListener("abort", giveUp);
        settle(value);
      };
      signal?.addEventListener("abort", giveUp, { once: true });
      this.#waiting.set(id, { resolve: settled(resolve), reject: settled(reject) });
      this.#post(["ask", name, asked, id]);
    });
  }

  /** Says it and waits for nothing; after the close it says nothing. */
  tell<Name extends keyof Theirs & string>(name: Name, asked: Theirs[Name][0]): void {
    this.#post(["tell", name, asked]);
  }

  /** Takes a text that the other end sent. */
  receive(text: string): void {
    for (const parcel of JSON.parse(text) as readonly Parcel[]) this.#take(parcel);
  }

  /** Ends all questions, those that were asked and those that are being answered; later calls do nothing. */
  close(reason: Error): void {
    if (this.#closed !== null) return;
    this.#closed = reason;
    this.#outgoing = [];
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
    for (const life of this.#answering.values()) life.abort(reason);
    this.#answering.clear();
  }

  #take(parcel: Parcel): void {
    if (this.#closed !== null) return;
    switch (parcel[0]) {
      case "tell":
        void this.#do(parcel[1], parcel[2]);
        return;
      case "ask":
        void this.#answer(parcel[1], { asked: parcel[2], id: parcel[3] });
        return;
      case "answered":
        this.#settle(parcel[1])?.resolve(parcel[2]);
        return;
      case "failed":
        this.#settle(parcel[1])?.reject(errorOf(parcel[2]));
        return;
      case "given_up":
        this.#answering.get(parcel[1])?.abort(new DOMException("Nobody waits", "AbortError"));
    }
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  async #do(name: string, asked: unknown): Promise<void> {
    const life = new AbortController();
    try {
      await this.#answerTo(name)(asked, life.signal);
    } catch (error) {
      this.#options.failed(error);
    }
  }

  async #answer(
    name: string,
    { asked, id }: { readonly asked: unknown; readonly id: number },
  ): Promise<void> {
    const life = new AbortController();
    this.#answering.set(id, life);
    try {
      const answer = await this.#answerTo(name)(asked, life.signal);
      this.#post(["answered", id, answer]);
    } catch (error) {
      this.#post(["failed", id, faultOf(error)]);
    } finally {
      this.#answering.delete(id);
    }
  }

  #answerTo(name: string): (asked: unknown, signal: AbortSignal) => unknown {
    const answer = this.#options.answers[name as keyof Ours];
    if (answer === undefined) throw new TypeError(`Nobody answers "${name}"`);
    return answer as (asked: unknown, signal: AbortSignal) => unknown;
  }

  /** What is said in one turn goes out together. */
  #post(parcel: Parcel): void {
    if (this.#closed !== null) return;
    if (this.#outgoing.push(parcel) > 1) return;
    queueMicrotask(() => {
      if (this.#outgoing.length === 0) return;
      const outgoing = this.#outgoing;
      this.#outgoing = [];
      this.#options.send(JSON.stringify(outgoing));
    });
  }
}

function faultOf(error: unknown): Fault {
  const message = error instanceof Error ? error.message : String(error);
  return { message, retryAfterMs: error instanceof HistoryError ? error.retryAfterMs : null };
}

function errorOf({ message, retryAfterMs }: Fault): Error {
  return retryAfterMs === null ? new Error(message) : new HistoryError(message, { retryAfterMs });
}
