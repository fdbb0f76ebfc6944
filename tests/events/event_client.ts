// A plain client of an event stream over `fetch`: keeps every event and waits for the next that fits. It reads on by
// itself unless it was told to wait.
import assert from "node:assert/strict";
import type { Message } from "../support/client.ts";
import { until } from "../support/until.ts";
import { EventParser, type ParsedEvent } from "./event_parser.ts";

export interface EventClientOptions {
  readonly headers?: HeadersInit;
  /** Whether it reads nothing until `read` is called. */
  readonly isWaiting?: boolean;
}

export class EventClient implements AsyncDisposable {
  readonly response: Response;
  readonly parser = new EventParser();
  readonly messages: Message[] = [];
  readonly #controller: AbortController;
  #finished: Promise<void> | null = null;
  #isEnded = false;

  private constructor(response: Response, controller: AbortController) {
    this.response = response;
    this.#controller = controller;
  }

  /** Opens a stream that must be let in. */
  static async open(url: string, options: EventClientOptions = {}): Promise<EventClient> {
    const controller = new AbortController();
    const { headers = {}, isWaiting = false } = options;
    const response = await fetch(url, { headers, signal: controller.signal });
    if (response.status !== 200) assert.fail(`${response.status} ${await response.text()}`);
    const client = new EventClient(response, controller);
    if (!isWaiting) client.read();
    return client;
  }

  get events(): readonly ParsedEvent[] {
    return this.parser.events;
  }

  /** Whether the service, or the client itself, has ended the stream. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  get lastEventId(): string {
    return this.parser.lastEventId;
  }

  /** Begins to read. */
  read(): void {
    this.#finished ??= this.#read();
  }

  /** The first message from position `from` on that fits. */
  async next(
    fits: (message: Message) => boolean,
    { from = 0 }: { from?: number } = {},
  ): Promise<Message> {
    const find = () => this.messages.slice(from).find(fits);
    await until(() => find() !== undefined || this.#isEnded, {
      withinMs: 15_000,
      what: `A message that fits, after ${JSON.stringify(this.messages.slice(-3))},`,
    });
    return find() ??
      assert.fail(`Ended before it came: ${JSON.stringify(this.messages.slice(-3))}`);
  }

  /** Waits for the service to end the stream, and returns the error that it said last, if any. */
  async ending(): Promise<Message | null> {
    await until(() => this.#isEnded, { withinMs: 15_000, what: "The stream's end" });
    const last = this.messages.at(-1);
    return last?.type === "error" ? last : null;
  }

  /** Cuts the connection off, as a client that leaves does. */
  async leave(): Promise<void> {
    this.#controller.abort();
    this.read();
    await this.#finished;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.leave();
  }

  async #read(): Promise<void> {
    assert(this.response.body !== null);
    try {
      for await (const chunk of this.response.body) this.#take(chunk);
    } catch (error) {
      const isCut = this.#controller.signal.aborted || error instanceof TypeError;
      if (!isCut) throw error;
    } finally {
      this.#isEnded = true;
    }
  }

  #take(chunk: Uint8Array): void {
    this.parser.push(chunk);
    const { events } = this.parser;
    while (this.messages.length < events.length) {
      this.messages.push(JSON.parse(events[this.messages.length]?.data ?? ""));
    }
  }
}
