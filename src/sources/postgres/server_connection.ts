// One logged-in connection to PostgreSQL: a socket, the driver on it, and the deadlines of its beginning and its end.
// What failed in any way is never used again, and nobody may wait on the driver alone.
import type postgres from "postgres";
import type { Clock } from "../../clock.ts";
import type { Log } from "../../observe/log.ts";
import { SourceError } from "../source_error.ts";
import { driverOn } from "./driver_on.ts";
import { GuardedSocket } from "./guarded_socket.ts";
import type { ServerAddress } from "./server_address.ts";
import { toSourceError } from "./source_fault.ts";

export interface ServerConnectionOptions {
  readonly address: ServerAddress;
  readonly caCertificate?: string;
  readonly prepare: boolean;
  readonly connectTimeoutMs: number;
  /** Told of what arrives on channels that the connection listens to; it must not throw. */
  readonly notified?: (channel: string, payload: string) => void;
  readonly log: Log;
  readonly clock: Clock;
}

export interface Beginning<T> {
  /** Ends the attempt; without effect once it has succeeded. */
  readonly signal: AbortSignal;
  /** What the connection must do, in the same time, before it counts; its first query is where a login is refused. */
  readonly begin: (connection: ServerConnection) => Promise<T>;
}

const TERMINATE = new Uint8Array([88, 0, 0, 0, 4]); // "X", length 4
/** The server is given so long to take its leave. */
const CLOSE_TIMEOUT_MS = 500;

export class ServerConnection {
  readonly driver: postgres.Sql;
  readonly #socket: GuardedSocket;
  readonly #clock: Clock;
  #closing: Promise<void> | null = null;

  /** Connects and begins. Throws SourceError; an aborted signal rejects with the signal's reason. */
  static async open<T>(
    options: ServerConnectionOptions,
    { signal, begin }: Beginning<T>,
  ): Promise<T> {
    const { address, caCertificate, connectTimeoutMs, clock } = options;
    const expiry = new AbortController();
    const expired = new SourceError(
      "unavailable",
      `PostgreSQL did not take a connection within ${connectTimeoutMs} ms`,
    );
    const timer = clock.setTimeout(() => expiry.abort(expired), connectTimeoutMs);
    const either = AbortSignal.any([signal, expiry.signal]);
    let socket: GuardedSocket | null = null;
    const drop = () => socket?.destroy(either.reason);
    either.addEventListener("abort", drop, { once: true });
    try {
      socket = await GuardedSocket.connect({
        address,
        ...(caCertificate === undefined ? {} : { caCertificate }),
        signal: either,
      });
      return await begin(new ServerConnection(options, socket));
    } catch (error) {
      socket?.destroy();
      throw either.aborted ? either.reason : toSourceError(error, "connect");
    } finally {
      either.removeEventListener("abort", drop);
      clock.clearTimeout(timer);
    }
  }

  private constructor(options: ServerConnectionOptions, socket: GuardedSocket) {
    this.driver = driverOn(socket, options);
    this.#socket = socket;
    this.#clock = options.clock;
  }

  /** Resolves with the first failure once the connection is gone for good. */
  get gone(): Promise<Error> {
    return this.#socket.gone;
  }

  /** What ended the connection; null while it can be used. */
  get failure(): Error | null {
    return this.#socket.failure;
  }

  /** The driver leaves some of its promises pending when a connection dies; this one rejects with the failure. */
  answerOf<T>(answer: PromiseLike<T>): Promise<T> {
    const lost = Promise.withResolvers<never>();
    const fail = () => lost.reject(this.#socket.failure);
    this.#socket.once("error", fail);
    if (this.#socket.failure !== null) fail();
    return Promise.race([answer, lost.promise]).finally(() => this.#socket.off("error", fail));
  }

  /** Drops the connection now; the reason is what everybody waiting on it is told. */
  destroy(reason?: Error): void {
    this.#socket.destroy(reason);
  }

  /** Takes leave of the server, in a bounded time, and more than once without harm. */
  close(): Promise<void> {
    this.#closing ??= this.#takeLeave();
    return this.#closing;
  }

  async #takeLeave(): Promise<void> {
    this.#socket.end(TERMINATE);
    const timer = this.#clock.setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS);
    await this.#socket.gone;
    this.#clock.clearTimeout(timer);
  }
}
