// A loopback proxy that counts how often a marker passes from the client to the database: reads, seen at the wire and
// not in our own bookkeeping. It must change nothing.

export class CountingProxy implements AsyncDisposable {
  readonly #listener: Deno.TcpListener;
  readonly #targetPort: number;
  readonly #marker: string;
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #work = new Set<Promise<void>>();
  #count = 0;

  /** `marker` is ASCII that stands once in each read's request. */
  constructor({ targetPort, marker }: { targetPort: number; marker: string }) {
    this.#targetPort = targetPort;
    this.#marker = marker;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#track(this.#accept());
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  get count(): number {
    return this.#count;
  }

  /** The URL with this proxy's port in place of the database's own. */
  through(url: string): string {
    const address = new URL(url);
    address.port = String(this.port);
    return address.href;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) closeQuietly(connection);
    await Promise.all(this.#work);
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      const server = await this.#connect();
      if (server === null) {
        // As a database that is down would refuse, as near as a listener can.
        client.close();
        continue;
      }
      this.#connections.add(client).add(server);
      this.#track(this.#pump(client, server, this.#counter()));
      this.#track(this.#pump(server, client, () => {}));
    }
  }

  async #connect(): Promise<Deno.TcpConn | null> {
    try {
      return await Deno.connect({ hostname: "127.0.0.1", port: this.#targetPort });
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionRefused) return null;
      throw error;
    }
  }

  /** Looks for the marker across the borders of chunks. */
  #counter(): (chunk: Uint8Array) => void {
    const decoder = new TextDecoder("latin1");
    let tail = "";
    return (chunk) => {
      const text = tail + decoder.decode(chunk);
      this.#count += text.split(this.#marker).length - 1;
      tail = text.slice(
        Math.max(text.lastIndexOf(this.#marker) + 1, text.length - this.#marker.length + 1, 0),
      );
    };
  }

  async #pump(
    from: Deno.TcpConn,
    to: Deno.TcpConn,
    look: (chunk: Uint8Array) => void,
  ): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (;;) {
        const length = await from.read(buffer);
        if (length === null) break;
        const chunk = buffer.subarray(0, length);
        look(chunk);
        for (let sent = 0; sent < length;) sent += await to.write(chunk.subarray(sent));
      }
    } catch (error) {
      if (!isClosed(error)) throw error;
    } finally {
      closeQuietly(from);
      closeQuietly(to);
      this.#connections.delete(from);
      this.#connections.delete(to);
    }
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
