// A loopback proxy that counts how often a marker passes from the client to the database: reads, seen at the wire and
// not in our own bookkeeping. It must change nothing.
import { type Passing, TcpRelay } from "../support/tcp_relay.ts";

export class CountingProxy implements AsyncDisposable {
  readonly #relay: TcpRelay;
  readonly #marker: string;
  #count = 0;

  /** `marker` is ASCII that stands once in each read's request. */
  constructor({ targetPort, marker }: { targetPort: number; marker: string }) {
    this.#marker = marker;
    this.#relay = new TcpRelay({ targetPort, accept: () => this.#counter() });
  }

  get port(): number {
    return this.#relay.port;
  }

  get count(): number {
    return this.#count;
  }

  /** The URL with this proxy's port in place of the database's own. */
  through(url: string): string {
    return this.#relay.through(url);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#relay[Symbol.asyncDispose]();
  }

  /** Looks for the marker across the borders of chunks. */
  #counter(): Passing {
    const decoder = new TextDecoder("latin1");
    let tail = "";
    return (chunk, from) => {
      if (from === "server") return chunk;
      const text = tail + decoder.decode(chunk);
      this.#count += text.split(this.#marker).length - 1;
      tail = text.slice(
        Math.max(text.lastIndexOf(this.#marker) + 1, text.length - this.#marker.length + 1, 0),
      );
      return chunk;
    };
  }
}
