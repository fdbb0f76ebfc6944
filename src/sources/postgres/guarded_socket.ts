// The socket under the PostgreSQL driver. Once the wire is dead it fails every write softly, and it never tells the
// driver that it closed: on that news npm:postgres 3.4.9 forgets its socket, writes on to null from a timer, and the
// process ends with an exception that nobody can catch.
import { EventEmitter } from "node:events";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ServerAddress } from "./server_address.ts";

export interface GuardedSocketOptions {
  readonly address: ServerAddress;
  /** PEM of the only authorities to trust; the runtime's own without it. */
  readonly caCertificate?: string;
  /** Ends the attempt; without effect once connected. */
  readonly signal: AbortSignal;
}

const SSL_REQUEST = new Uint8Array([0, 0, 0, 8, 4, 210, 22, 47]);
const SSL_ACCEPTED = 83; // "S"
const KEEP_ALIVE_MS = 60_000;

/** The part of `net.Socket` that the driver uses. */
export class GuardedSocket extends EventEmitter {
  readonly #transport: Socket;
  readonly #gone = Promise.withResolvers<Error>();
  #failure: Error | null = null;

  /** Connects, with TLS where the address asks for it. Rejects with the transport's error or the signal's reason. */
  static async connect(options: GuardedSocketOptions): Promise<GuardedSocket> {
    options.signal.throwIfAborted();
    const { address } = options;
    const tcp = connectTcp({ host: address.host, port: address.port });
    // Until somebody else listens, an error event would be thrown.
    tcp.on("error", () => {});
    const abort = () => tcp.destroy(options.signal.reason);
    options.signal.addEventListener("abort", abort, { once: true });
    try {
      await nextEvent(tcp, "connect");
      tcp.setNoDelay(true);
      tcp.setKeepAlive(true, KEEP_ALIVE_MS);
      return new GuardedSocket(address.tlsMode === "disable" ? tcp : await secure(tcp, options));
    } catch (error) {
      tcp.destroy();
      throw options.signal.aborted ? options.signal.reason : error;
    } finally {
      options.signal.removeEventListener("abort", abort);
    }
  }

  private constructor(transport: Socket) {
    super();
    this.#transport = transport;
    transport.on("data", (chunk) => this.emit("data", chunk));
    transport.on("drain", () => this.emit("drain"));
    transport.on("error", (error) => this.#fail(error));
    transport.on("close", () => {
      this.#fail(new Error("The server closed the connection"));
      this.#gone.resolve(this.#failure!);
    });
  }

  /** Resolves with the first failure once the connection is gone for good. */
  get gone(): Promise<Error> {
    return this.#gone.promise;
  }

  get failure(): Error | null {
    return this.#failure;
  }

  /** The driver ends a socket only while it reads `open`. */
  get readyState(): "open" | "closed" {
    return this.#failure === null ? "open" : "closed";
  }

  write(chunk: Uint8Array, written?: () => void): boolean {
    if (this.#failure === null) return this.#transport.write(chunk, written);
    // Not in this very call: the driver has not yet noted the query that it is writing.
    queueMicrotask(() => this.#tellDriver());
    // `false` would make the driver wait for a drain that never comes.
    return true;
  }

  end(chunk: Uint8Array): void {
    if (this.#failure === null) this.#transport.end(chunk);
  }

  /** Drops the connection now; the reason is what everybody waiting on it is told. */
  destroy(reason: Error = new Error("The connection was dropped")): void {
    this.#fail(reason);
    this.#transport.destroy();
  }

  #fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#tellDriver();
  }

  #tellDriver(): void {
    if (this.listenerCount("error") > 0) this.emit("error", this.#failure);
  }
}

async function secure(tcp: Socket, options: GuardedSocketOptions): Promise<Socket> {
  const { address, caCertificate } = options;
  tcp.write(SSL_REQUEST);
  const [answer] = await nextEvent(tcp, "data");
  // More than the one byte would be text slipped in before the encryption.
  if (!(answer instanceof Uint8Array) || answer.length !== 1) {
    throw new Error("The server answered the TLS request with something else");
  }
  if (answer[0] !== SSL_ACCEPTED) {
    if (address.tlsMode === "prefer") return tcp;
    throw new Error(`The server has no TLS, and sslmode is "${address.tlsMode}"`);
  }
  const tls = connectTls({
    socket: tcp,
    rejectUnauthorized: address.tlsMode === "verify-full" || caCertificate !== undefined,
    ...(caCertificate === undefined ? {} : { ca: caCertificate }),
    ...(isIP(address.host) === 0 ? { servername: address.host } : { host: address.host }),
  });
  tls.on("error", () => {});
  await nextEvent(tls, "secureConnect");
  return tls;
}

function nextEvent(socket: Socket, name: string): Promise<readonly unknown[]> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      socket.off(name, happened);
      socket.off("error", failed);
      socket.off("close", closed);
    };
    const happened = (...values: unknown[]) => (settle(), resolve(values));
    const failed = (error: Error) => (settle(), reject(error));
    const closed = () => (settle(), reject(new Error("The server closed the connection")));
    socket.on(name, happened);
    socket.on("error", failed);
    socket.on("close", closed);
  });
}
