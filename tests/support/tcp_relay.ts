// Passes bytes between clients and a server on loopback and lets its owner see and change them; it must do nothing of its
// own to what goes through.

export type Speaker = "client" | "server";

/** What goes on of a chunk; the chunk is the handler's to keep. */
export type Passing = (
  chunk: Uint8Array<ArrayBuffer>,
  from: Speaker,
) => Uint8Array | Promise<Uint8Array>;

export interface TcpRelayOptions {
  readonly targetPort: number;
  /** Called for every connection that comes; null turns it away. */
  readonly accept: () => Passing | null;
}

/** Open until disposed; connections are closed with it. A client of a server that is down is closed. */
export class TcpRelay implements AsyncDisposable {
  readonly #options: TcpRelayOptions;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #work = new Set<Promise<void>>();
  #isStopped = false;

  constructor(options: TcpRelayOptions) {
    this.#options = options;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#track(this.#accept());
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /** The URL with this relay's port in place of the server's own. */
  through(url: string): string {
    const address = new URL(url);
    address.port = String(this.port);
    return address.href;
  }

  /** Closes every connection that is open now. */
  drop(): void {
    for (const connection of this.#open) closeQuietly(connection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#listener.close();
    this.drop();
    await Promise.all(this.#work);
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      const pass = this.#options.accept();
      if (pass === null) closeQuietly(client);
      else this.#track(this.#serve(client, pass));
    }
  }

  async #serve(client: Deno.TcpConn, pass: Passing): Promise<void> {
    this.#open.add(client);
    const server = await this.#connect();
    if (server === null || this.#isStopped) {
      server?.close();
      closeQuietly(client);
      this.#open.delete(client);
      return;
    }
    this.#open.add(server);
    await Promise.all([
      pump(client, server, (chunk) => pass(chunk, "client")),
      pump(server, client, (chunk) => pass(chunk, "server")),
    ]);
    this.#open.delete(client);
    this.#open.delete(server);
  }

  async #connect(): Promise<Deno.TcpConn | null> {
    try {
      return await Deno.connect({ hostname: "127.0.0.1", port: this.#options.targetPort });
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionRefused || isClosed(error)) return null;
      throw error;
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }
}

async function pump(
  from: Deno.TcpConn,
  to: Deno.TcpConn,
  pass: (chunk: Uint8Array<ArrayBuffer>) => Uint8Array | Promise<Uint8Array>,
): Promise<void> {
  const buffer = new Uint8Array(65_536);
  try {
    for (;;) {
      const length = await from.read(buffer);
      if (length === null) break;
      const passed = await pass(buffer.slice(0, length));
      for (let sent = 0; sent < passed.length;) sent += await to.write(passed.subarray(sent));
    }
  } catch (error) {
    if (!isClosed(error)) throw error;
  } finally {
    closeQuietly(from);
    closeQuietly(to);
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
