// The runtime's own WebSockets. It has no message limit and can't terminate a stuck peer, so that the door must have
// verified a client before it comes here; what this engine can't defend against is said where it is chosen.
import { frameText } from "../protocol/frame.ts";
import type { Admission, Engine, EngineOptions, Socket, SocketEvents } from "./socket.ts";
import { upgradeFault } from "./upgrade_fault.ts";

/** Milliseconds from an upgrade's answer to its open socket; of a client that has gone by then the runtime tells nobody. */
const OPEN_TIMEOUT_MS = 2_000;

/** Serves HTTP and upgrades on one port until `shutdown`. Throws what listening throws. */
export function serveDeno(options: EngineOptions): Engine {
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
      (request, info) => answer(options, { request, address: info.remoteAddr.hostname }),
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
      let timer: ReturnType<typeof setTimeout> | undefined;
      const grace = new Promise<void>((resolve) => timer = setTimeout(resolve, graceMs));
      // With one stuck peer the runtime's shutdown never resolves.
      await Promise.race([server.shutdown(), grace]);
      clearTimeout(timer);
    },
  };
}

async function answer(
  options: EngineOptions,
  { request, address }: { request: Request; address: string },
): Promise<Response> {
  // The runtime makes the URL of whatever the Host header says.
  if (!URL.canParse(request.url)) return new Response("Bad request\n", { status: 400 });
  const url = new URL(request.url);
  const isUpgrade = request.headers.get("upgrade")?.toLowerCase() === "websocket";
  if (url.pathname !== options.path || !isUpgrade) {
    // The runtime has nothing that ends a connection; an answer that has ended frees it once its peer reads on or leaves.
    return await options.fetch(request, { address, terminate: () => {} });
  }
  const fault = upgradeFault(request);
  if (fault !== null) return fault;
  const admission = await options.admit({ url, headers: new Headers(request.headers), address });
  if (admission.kind === "respond") return admission.response;
  let upgrade: Deno.WebSocketUpgrade;
  try {
    upgrade = Deno.upgradeWebSocket(request, { idleTimeout: idleSeconds(options.limits) });
  } catch {
    // The client has gone meanwhile.
    admission.abandoned();
    return new Response("Expected a WebSocket upgrade", { status: 400 });
  }
  if (admission.protocol !== null) {
    upgrade.response.headers.set("sec-websocket-protocol", admission.protocol);
  }
  attach(upgrade.socket, { admission, failed: options.failed });
  return upgrade.response;
}

function attach(
  socket: WebSocket,
  { admission, failed }: {
    admission: Extract<Admission, { kind: "upgrade" }>;
    failed: EngineOptions["failed"];
  },
): void {
  socket.binaryType = "arraybuffer";
  // An exception that leaves a handler ends the process.
  const guarded = (act: () => void) => {
    try {
      act();
    } catch (error) {
      failed("socket_handler_failed", error);
      if (socket.readyState === WebSocket.OPEN) socket.close(1011, "Internal error");
    }
  };
  let events: SocketEvents | null = null;
  let isClosed = false;
  const openTimer = setTimeout(() => socket.onclose?.(new CloseEvent("close")), OPEN_TIMEOUT_MS);
  // Closing before it is open would be lost: the client would hang, open for ever.
  socket.onopen = () =>
    guarded(() => {
      clearTimeout(openTimer);
      if (isClosed) socket.close(1001, "Opened too late");
      else events = admission.opened(portOf(socket));
    });
  socket.onmessage = ({ data }) =>
    guarded(() => typeof data === "string" ? events?.text(data) : events?.binary(data.byteLength));
  // The runtime may report a close twice.
  socket.onclose = ({ code }) =>
    guarded(() => {
      if (isClosed) return;
      isClosed = true;
      if (events === null) admission.abandoned();
      else events.closed(code);
    });
  // A lost peer is no fault of ours; its close follows.
  socket.onerror = (event) => event.preventDefault();
}

/** The runtime pings after half of it and closes after the whole: a round of pings and a round of silence. */
function idleSeconds({ pingIntervalMs }: EngineOptions["limits"]): number {
  return Math.ceil(2 * pingIntervalMs / 1_000);
}

function portOf(socket: WebSocket): Socket {
  return {
    get bufferedBytes() {
      return socket.bufferedAmount;
    },
    send(frames) {
      for (const frame of frames) {
        if (socket.readyState !== WebSocket.OPEN) return;
        socket.send(frameText(frame));
      }
    },
    close(code, reason) {
      if (socket.readyState === WebSocket.OPEN) socket.close(code, reason);
    },
    terminate() {
      // The runtime has nothing stronger; the idle time-out must do the rest.
      if (socket.readyState === WebSocket.OPEN) socket.close(1001, "");
    },
  };
}
