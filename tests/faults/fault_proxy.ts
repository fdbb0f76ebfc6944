// Stands on the wire to a real server and spoils it as told, counting every attempt that reaches it; in mode `forward` it
// must change nothing.
import { type Speaker, TcpRelay } from "../support/tcp_relay.ts";

/**
 * - `refuse`: connections are closed as soon as they come, those there are at once
 * - `hang`: what the client says is swallowed, nothing is answered
 * - `break-off`: the first bytes of each answer come, the rest never does
 * - `garbage`: answers of the right length and the wrong bytes
 */
export type FaultMode = "forward" | "refuse" | "hang" | "break-off" | "garbage";

export interface FaultProxyOptions {
  readonly targetPort: number;
  /** What the first bytes of a request hold, so that requests are counted; its connections are counted anyway. */
  readonly marker: string;
}

/** Of each answer in mode `break-off`. */
const PASSED_BYTES = 12;

export class FaultProxy implements AsyncDisposable {
  readonly #options: FaultProxyOptions;
  readonly #relay: TcpRelay;
  readonly #stopped = new AbortController();
  readonly #over = Promise.withResolvers<void>();
  readonly #decoder = new TextDecoder("latin1");
  #mode: FaultMode = "forward";
  /** Milliseconds that every answer is held back. */
  delayMs = 0;
  /** Every answer is held back until it resolves. */
  held: Promise<void> | null = null;
  /** Connections that were accepted. */
  connections = 0;
  /** Requests that came through one of them. */
  requests = 0;

  constructor(options: FaultProxyOptions) {
    this.#options = options;
    this.#relay = new TcpRelay({
      targetPort: options.targetPort,
      accept: () => {
        this.connections++;
        return this.#mode === "refuse" ? null : (chunk, from) => this.#pass(chunk, from);
      },
    });
  }

  get mode(): FaultMode {
    return this.#mode;
  }

  set mode(mode: FaultMode) {
    this.#mode = mode;
    if (mode === "refuse") this.drop();
  }

  /** Attempts of either kind: a request on a connection that was there, or a connection that got no further. */
  get attempts(): number {
    return Math.max(this.connections, this.requests);
  }

  resetCounts(): void {
    this.connections = 0;
    this.requests = 0;
  }

  /** Closes every connection that is open now. */
  drop(): void {
    this.#relay.drop();
  }

  /** The URL with this proxy's port in place of the server's own. */
  through(url: string): string {
    return this.#relay.through(url).replace(/\/$/, "");
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    this.#over.resolve();
    return this.#relay[Symbol.asyncDispose]();
  }

  #pass(chunk: Uint8Array<ArrayBuffer>, from: Speaker): Uint8Array | Promise<Uint8Array> {
    if (from === "server") return this.#answer(chunk);
    this.requests += this.#decoder.decode(chunk).split(this.#options.marker).length - 1;
    return this.#mode === "hang" ? chunk.subarray(0, 0) : chunk;
  }

  async #answer(chunk: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
    if (this.delayMs > 0) await this.#pause(this.delayMs);
    if (this.held !== null) await Promise.race([this.held, this.#over.promise]);
    switch (this.#mode) {
      case "hang":
        return chunk.subarray(0, 0);
      case "break-off":
        return chunk.subarray(0, PASSED_BYTES);
      case "garbage":
        return crypto.getRandomValues(chunk);
      default:
        return chunk;
    }
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#stopped;
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done);
    });
  }
}
