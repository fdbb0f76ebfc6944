// Stands on the wire to a real server and spoils it as told, counting every attempt that reaches it; in mode `forward` it
// must change nothing.

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
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #work = new Set<Promise<void>>();
  readonly #stopped = new AbortController();
  readonly #over = Promise.withResolvers<void>();
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
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#track(this.#accept());
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
    for (const connection of this.#open) closeQuietly(connection);
  }

  /** The URL with this proxy's port in place of the server's own. */
  through(url: string): string {
    const address = new URL(url);
    address.port = String(this.#listener.addr.port);
    return address.href.replace(/\/$/, "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    this.#over.resolve();
    this.#listener.close();
    this.drop();
    await Promise.all(this.#work);
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      this.connections++;
      if (this.#mode === "refuse") closeQuietly(client);
      else this.#track(this.#serve(client));
    }
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    this.#open.add(client);
    let server: Deno.TcpConn;
    try {
      server = await Deno.connect({ hostname: "127.0.0.1", port: this.#options.targetPort });
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused || isClosed(error))) throw error;
      this.#open.delete(client);
      closeQuietly(client);
      return;
    }
    this.#open.add(server);
    if (this.#stopped.signal.aborted) closeQuietly(server);
    await Promise.all([
      this.#pump(client, server, "request"),
      this.#pump(server, client, "answer"),
    ]);
    this.#open.delete(client);
    this.#open.delete(server);
  }

  async #pump(
    from: Deno.TcpConn,
    to: Deno.TcpConn,
    kind: "request" | "answer",
  ): Promise<void> {
    const decoder = new TextDecoder("latin1");
    const buffer = new Uint8Array(65_536);
    try {
      for (;;) {
        const length = await from.read(buffer);
        if (length === null) break;
        const chunk = buffer.slice(0, length);
        if (kind === "request") {
          this.requests += decoder.decode(chunk).split(this.#options.marker).length - 1;
        }
        const passed = kind === "request" ? this.#request(chunk) : await this.#answer(chunk);
        for (let sent = 0; sent < passed.length;) sent += await to.write(passed.subarray(sent));
      }
    } catch (error) {
      if (!isClosed(error)) throw error;
    } finally {
      closeQuietly(from);
      closeQuietly(to);
    }
  }

  #request(chunk: Uint8Array): Uint8Array {
    return this.#mode === "hang" ? chunk.subarray(0, 0) : chunk;
  }

  async #answer(chunk: Uint8Array): Promise<Uint8Array> {
    if (this.delayMs > 0) await this.#pause(this.delayMs);
    if (this.held !== null) await Promise.race([this.held, this.#over.promise]);
    switch (this.#mode) {
      case "hang":
        return chunk.subarray(0, 0);
      case "break-off":
        return chunk.subarray(0, PASSED_BYTES);
      case "garbage":
        return crypto.getRandomValues(chunk as Uint8Array<ArrayBuffer>);
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

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted ||
    error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.NotConnected;
}

function closeQuietly(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
