// Reads a stream of server-sent events as the HTML standard has it ("Parsing an event stream"), byte by byte and by
// itself: it must share no code with what writes them.

/** An event as an EventSource would raise it. */
export interface ParsedEvent {
  readonly type: string;
  readonly data: string;
  /** What `id:` said within this event; null where it had none. */
  readonly id: string | null;
  /** What a client that is cut off now would come back with; empty before any. */
  readonly lastEventId: string;
}

export class EventParser {
  readonly events: ParsedEvent[] = [];
  /** Lines that begin with a colon, without it. */
  readonly comments: string[] = [];
  /** Fields that the standard does not know. */
  readonly unknown: string[] = [];
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #rest = "";
  #type = "";
  #data: string[] = [];
  #id: string | null = null;
  #lastEventId = "";

  get lastEventId(): string {
    return this.#lastEventId;
  }

  /** Whether the stream could end here without losing what was written. */
  get isBetweenEvents(): boolean {
    return this.#rest === "" && this.#type === "" && this.#data.length === 0 && this.#id === null;
  }

  push(chunk: Uint8Array): void {
    const text = this.#rest + this.#decoder.decode(chunk, { stream: true });
    // A CR at the end may be half of a CRLF.
    const lines = text.split(/\r\n|\r(?!$)|\n/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#take(line);
  }

  #take(line: string): void {
    if (line === "") {
      this.#dispatch();
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) {
      this.comments.push(line.slice(1));
      return;
    }
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#type = value;
    else if (field === "data") this.#data.push(value);
    else if (field !== "id") this.unknown.push(field);
    else if (!value.includes("\0")) this.#id = value;
  }

  #dispatch(): void {
    const id = this.#id;
    if (id !== null) this.#lastEventId = id;
    if (this.#data.length > 0) {
      this.events.push({
        type: this.#type === "" ? "message" : this.#type,
        data: this.#data.join("\n"),
        id,
        lastEventId: this.#lastEventId,
      });
    }
    this.#type = "";
    this.#data = [];
    this.#id = null;
  }
}
