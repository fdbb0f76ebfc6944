// A proxy on the wire to PostgreSQL that counts round trips and can go silent or mad; it must change nothing otherwise.

export type WireMode = "forward" | "hang" | "garbage";

/** Open until disposed; connections are closed with it. */
export class WireProxy implements AsyncDisposable {
  readonly #listener: Deno.TcpListener;
  readonly #targetPort: number;
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #work = new Set<Promise<void>>();
  mode: WireMode = "forward";
  /** Connections that were accepted. */
  connections = 0;
  /** Times that the client spoke after it had listened. */
  roundTrips = 0;
  #lastSpeaker: "client" | "server" = "server";

  constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#track(this.#accept());
  }

  /** The URL with this proxy's port in place of the server's own. */
  through(url: string): string {
    const address = new URL(url);
    address.port = String(this.#listener.addr.port);
    return address.href;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) closeQuietly(connection);
    await Promise.all(this.#work);
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      this.connections++;
      const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#targetPort });
      this.#connections.add(client).add(server);
      this.#track(this.#pump(client, server, "client"));
      this.#track(this.#pump(server, client, "server"));
    }
  }

  async #pump(
    from: Deno.TcpConn,
    to: Deno.TcpConn,
    speaker: "client" | "server",
  ): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (;;) {
        const length = await from.read(buffer);
        if (length === null) break;
        if (this.mode === "hang") continue;
        const chunk = buffer.slice(0, length);
        if (this.mode === "garbage" && speaker === "server") crypto.getRandomValues(chunk);
        if (speaker === "client" && this.#lastSpeaker === "server") this.roundTrips++;
        this.#lastSpeaker = speaker;
        for (let sent = 0; sent < chunk.length;) sent += await to.write(chunk.subarray(sent));
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
