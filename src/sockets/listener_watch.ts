// Notices when a server has gone deaf: out of descriptors for a moment, the runtime's accept loop ends for good and tells
// nobody. It asks by connecting to the server itself, and only when nobody else has come for a while.
import { connect, type Server, type Socket as TcpSocket } from "node:net";

export interface ListenerWatchOptions {
  readonly server: Server;
  readonly hostname: string;
  readonly port: number;
  /** Called when a connection that the kernel took was not accepted. */
  readonly deaf: () => void;
  readonly intervalMs?: number;
  /** How many listeners share the port: the kernel may give a probe to any of them. */
  readonly listeners?: number;
}

/** A busy event loop may take this long to accept; a deaf one never does. */
const ACCEPT_TIMEOUT_MS = 2_000;
/** Of so many probes a listener, each listener gets one: all miss it once in 10^13 looks. */
const PROBES_PER_LISTENER = 32;
/** After this long without a sign, a probe may well have gone to another listener. */
const NEXT_PROBE_MS = 20;

export class ListenerWatch implements Disposable {
  readonly #options: ListenerWatchOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Whoever was accepted proves it: the probe has nothing left to ask, and must not hold a place. */
  readonly #heard = () => {
    this.#hasHeard = true;
    this.#end();
  };
  #hasHeard = false;
  #probe: TcpSocket | null = null;
  #verdictTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ListenerWatchOptions) {
    this.#options = options;
    const { server, intervalMs = 4_000 } = options;
    server.on("connection", this.#heard);
    server.on("drop", this.#heard);
    this.#timer = setInterval(() => this.#look(), intervalMs);
  }

  [Symbol.dispose](): void {
    const { server } = this.#options;
    server.off("connection", this.#heard);
    server.off("drop", this.#heard);
    clearInterval(this.#timer);
    this.#end();
  }

  #look(): void {
    const hasHeard = this.#hasHeard;
    this.#hasHeard = false;
    if (hasHeard || this.#probe !== null) return;
    const { listeners = 1 } = this.#options;
    this.#ask(listeners === 1 ? 0 : PROBES_PER_LISTENER * listeners);
  }

  /** Asks once, and so many times more as long as nothing is heard. */
  #ask(more: number): void {
    const { hostname: host, port } = this.#options;
    const probe = connect({ host, port });
    this.#probe = probe;
    // No descriptor for a probe says nothing about the listener.
    probe.once("error", () => this.#end());
    probe.once("connect", () => {
      this.#verdictTimer = setTimeout(() => {
        this.#end();
        if (this.#hasHeard) return;
        if (more > 0) this.#ask(more - 1);
        else this.#options.deaf();
      }, more > 0 ? NEXT_PROBE_MS : ACCEPT_TIMEOUT_MS);
    });
  }

  #end(): void {
    clearTimeout(this.#verdictTimer);
    this.#probe?.destroy();
    this.#probe = null;
  }
}
