// The runtime's own WebSockets. It has no message limit and can't terminate a stuck peer, so that the door must have
// verified a client before it comes here; what this engine can't defend against is said where it is chosen.
import { systemClock as clock, waitFor } from "../clock.ts";
import { CLOSINGS } from "../errors.ts";
import { type Frame, frameText } from "../protocol/frame.ts";
import type { Admission, Engine, EngineOptions, Socket, SocketEvents } from "./socket.ts";
import { targetInUrl } from "./request_target.ts";
import { upgradeFault } from "./upgrade_fault.ts";

/** Milliseconds from an upgrade's answer to its open socket; of a client that has gone by then the runtime tells nobody. */
const OPEN_TIMEOUT_MS = 2_000;

/** Serves HTTP and upgrades on one port until `shutdown`. Throws what listening throws. */
export function serveDeno(options: EngineOptions): Engine {
  const waiting = new OpenWait();
  let isStopping = false;
  let server = listen(options.port);
  const { hostname, port } = server.addr;

  function listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    const listening = Deno.serve(
      {
        hostname: options.hostname,
        port,
        ...(options.tls ?? {}),
        onListen: () => {},
        onError: (error) => {
          options.failed("request_failed", error);
          return new Response("Internal error", { status: 500 });
        },
      },
      (request, info) => answer(options, { request, address: info.remoteAddr.hostname, waiting }),
    );
    // Out of descriptors the accept loop ends and takes the process along unless somebody serves again.
    listening.finished.catch((error: unknown) => {
      options.failed("listener_failed", error);
      if (!isStopping) server = listen(port);
    });
    return listening;
  }

  return {
    hostname,
    port,
    async shutdown(graceMs) {
      isStopping = true;
      // With one stuck peer the runtime's shutdown never resolves.
      await waitFor(server.shutdown(), { atMostMs: graceMs, clock });
    },
  };
}

async function answer(
  options: EngineOptions,
  { request, address, waiting }: { request: Request; address: string; waiting: OpenWait },
): Promise<Response> {
  const { headers } = request;
  const isUpgrade = headers.get("upgrade")?.toLowerCase() === "websocket";
  const target = isUpgrade ? targetInUrl(request.url) : URL.parse(request.url);
  if (target === null) return new Response("Bad request\n", { status: 400 });
  if (!isUpgrade || target.pathname !== options.path) {
    // The runtime has nothing that ends a connection; an answer that has ended frees it once its peer reads on or leaves.
    return await options.fetch(request, { address, terminate: () => {} });
  }
  const fault = upgradeFault(request);
  if (fault !== null) return fault;
  // Not copied, which costs a tenth of a handshake: whoever reads one of a client that has gone meanwhile only fails, and
  // the answer goes to nobody.
  const admission = await options.admit({ search: target.search, headers, address });
  if (admission.kind === "respond") return admission.response;
  // What the runtime adds to a socket with an idle time-out would keep the request, headers and signal and all, for as long
  // as the socket: three quarters of what a socket here takes more than a bare one. So it is lent, and taken back.
  const lent = Proxy.revocable(request, {});
  let upgrade: Deno.WebSocketUpgrade;
  try {
    upgrade = Deno.upgradeWebSocket(lent.proxy, { idleTimeout: idleSeconds(options.limits) });
  } catch {
    // The client has gone meanwhile.
    admission.abandoned();
    return new Response("Expected a WebSocket upgrade", { status: 400 });
  }
  if (admission.protocol !== null) {
    upgrade.response.headers.set("sec-websocket-protocol", admission.protocol);
  }
  const takeBack = lent.revoke;
  new DenoSocket(upgrade.socket, { admission, waiting, takeBack, failed: options.failed });
  return upgrade.response;
}

/** One object for the port and its events, listening by itself: a closure for each event costs more than the rest. */
class DenoSocket implements Socket, EventListenerObject {
  readonly #socket: WebSocket;
  readonly #failed: EngineOptions["failed"];
  /** Null once it is open. */
  #admission: Extract<Admission, { kind: "upgrade" }> | null;
  /** Ends the loan of its request, which the runtime reads until just before it tells that the socket is open. */
  #takeBack: (() => void) | null;
  #events: SocketEvents | null = null;
  readonly #waiting: OpenWait;
  #isClosed = false;

  constructor(
    socket: WebSocket,
    { admission, waiting, takeBack, failed }: {
      readonly admission: Extract<Admission, { kind: "upgrade" }>;
      readonly waiting: OpenWait;
      readonly takeBack: () => void;
      readonly failed: EngineOptions["failed"];
    },
  ) {
    this.#socket = socket;
    this.#admission = admission;
    this.#takeBack = takeBack;
    this.#failed = failed;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", this, { once: true });
    for (const type of ["message", "close", "error"]) socket.addEventListener(type, this);
    this.#waiting = waiting;
    waiting.add(this);
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  send(frames: readonly Frame[]): void {
    // Nothing is told of it in between, so that it stays open for all of them.
    if (!this.#isOpen) return;
    for (const frame of frames) this.#socket.send(frameText(frame));
  }

  close(code: number, reason: string): void {
    if (this.#isOpen) this.#socket.close(code, reason);
  }

  terminate(): void {
    // The runtime has nothing stronger; the idle time-out must do the rest.
    if (this.#isOpen) this.#socket.close(1001, "");
  }

  /** Takes note that it did not open in time. */
  neverOpened(): void {
    this.#guard(() => this.#closed(0));
  }

  handleEvent(event: Event): void {
    this.#guard(() => {
      switch (event.type) {
        case "open":
          this.#opened();
          break;
        case "message":
          this.#heard((event as MessageEvent<string | ArrayBuffer>).data);
          break;
        case "close":
          this.#closed((event as CloseEvent).code);
          break;
        default:
          // A lost peer is no fault of ours; its close follows.
          event.preventDefault();
      }
    });
  }

  get #isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** Closing before it is open would be lost: the client would hang, open for ever. */
  #opened(): void {
    this.#waiting.delete(this);
    this.#takeBack?.();
    this.#takeBack = null;
    if (this.#isClosed) {
      this.#socket.close(1001, "Opened too late");
      return;
    }
    this.#events = this.#admission?.opened(this) ?? null;
    this.#admission = null;
  }

  #heard(data: string | ArrayBuffer): void {
    if (typeof data === "string") this.#events?.text(data);
    else this.#events?.binary(data.byteLength);
  }

  /** The runtime may report a close twice. */
  #closed(code: number): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#waiting.delete(this);
    if (this.#events === null) this.#admission?.abandoned();
    else this.#events.closed(code);
  }

  /** An exception that leaves a handler ends the process. */
  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#failed("socket_handler_failed", error);
      this.close(CLOSINGS.internal.closeCode, CLOSINGS.internal.sentence);
    }
  }
}

/** Sockets that have not opened yet, those that wait longest first; one timer for all, as one each costs a handshake more. */
class OpenWait {
  readonly #since = new Map<DenoSocket, number>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  add(socket: DenoSocket): void {
    this.#since.set(socket, performance.now());
    this.#timer ??= setTimeout(() => this.#look(), OPEN_TIMEOUT_MS);
  }

  delete(socket: DenoSocket): void {
    if (!this.#since.delete(socket) || this.#since.size > 0 || this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    this.#timer = null;
    for (const [socket, since] of this.#since) {
      const leftMs = since + OPEN_TIMEOUT_MS - performance.now();
      if (leftMs > 0) {
        this.#timer = setTimeout(() => this.#look(), leftMs);
        return;
      }
      this.#since.delete(socket);
      socket.neverOpened();
    }
  }
}

/** The runtime pings after half of it and closes after the whole: a round of pings and a round of silence. */
function idleSeconds({ pingIntervalMs }: EngineOptions["limits"]): number {
  return Math.ceil(2 * pingIntervalMs / 1_000);
}
