// `node:http` and `ws` inside Deno: bounds messages, headers and connections, ends stuck peers, and writes the frames of
// one push together, from bytes that were built once for all clients. The engine to face a network with.
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
// @ts-types="./ws.d.ts"
import { WebSocketServer } from "ws";
import { systemClock as clock, waitFor } from "../clock.ts";
import { AttendedWebSocket } from "./attended_web_socket.ts";
import { Heartbeat } from "./heartbeat.ts";
import { ListenerWatch } from "./listener_watch.ts";
import type { Admission, Engine, EngineOptions, Handshake } from "./socket.ts";
import { QuietRequest } from "./quiet_request.ts";
import { RawHeaders } from "./raw_headers.ts";
import { targetOf } from "./request_target.ts";
import { boundSocketsByAddress } from "./sockets_by_address.ts";
import { boundUnanswered } from "./unanswered_requests.ts";
import { upgradeFault } from "./upgrade_fault.ts";
import { JoinedWires } from "./joined_wires.ts";
import { openWsSocket } from "./ws_socket.ts";

/** After a close frame, or a refusal by HTTP, a peer has this long to take it before its connection is ended. */
const CLOSE_TIMEOUT_MS = 2_000;

/** Fragments of one message: each is kept with an object of its own until the last has come, be it a byte long. */
const MAX_FRAGMENTS = 1_024;

/** Serves HTTP and upgrades on one port. Rejects with what listening threw. */
export async function serveWs(options: EngineOptions): Promise<Engine> {
  const server = createHttpServer(options);
  const selected = new WeakMap<IncomingMessage, string>();
  const sockets = new WebSocketServer({
    noServer: true,
    WebSocket: AttendedWebSocket,
    maxPayload: options.limits.maxMessageBytes,
    maxFragments: MAX_FRAGMENTS,
    perMessageDeflate: false,
    clientTracking: false,
    autoPong: false,
    closeTimeout: CLOSE_TIMEOUT_MS,
    handleProtocols: (_offered, request) => selected.get(request) ?? false,
  });
  await listen(server, options);
  const heartbeat = new Heartbeat({ intervalMs: options.limits.pingIntervalMs });
  const { crossed, failed } = options;
  const shared = { heartbeat, crossed, failed, joined: new JoinedWires() };
  /** Streams that the HTTP server handed over, each with its WebSocket once it has one. */
  const upgraded = new Map<Duplex, AttendedWebSocket | null>();
  // Made once: whatever is made for each stream is kept for as long as the stream, with all that it could reach.
  const forget = function (this: Duplex) {
    upgraded.delete(this);
  };

  /** Opens what was admitted, and abandons what can't be. */
  const open = (asked: Asked, admission: Extract<Admission, { kind: "upgrade" }>) => {
    const { request, stream, head } = asked;
    let isOpen = false;
    if (admission.protocol !== null) selected.set(request, admission.protocol);
    if (!stream.destroyed) {
      // `ws` answers an ill-formed upgrade itself and ends the stream.
      sockets.handleUpgrade(request, stream, head, (webSocket) => {
        isOpen = true;
        upgraded.set(stream, webSocket);
        openWsSocket({ webSocket, stream }, { admission, shared });
      });
    }
    if (!isOpen) admission.abandoned();
  };

  const answer = async (asked: Asked) => {
    const { request, stream } = asked;
    try {
      const admission = await judge(options, request);
      if (admission.kind === "upgrade") open(asked, admission);
      else await refuse(stream, admission.response);
    } catch (error) {
      failed("handshake_failed", error);
      await refuse(stream, new Response("Internal error", { status: 500 }));
    }
  };

  server.on("upgrade", (request, stream, head) => {
    // A peer that leaves while it is judged must not be an uncaught error.
    stream.on("error", destroy);
    upgraded.set(stream, null);
    stream.on("close", forget);
    void answer({ request, stream, head });
  });

  const { address, port } = server.address() as AddressInfo;
  const watch = new ListenerWatch({
    server,
    hostname: reachable(address),
    port,
    listeners: options.listeners ?? 1,
    deaf: () => {
      options.failed("listener_failed", new Error("Connections were no longer accepted"));
      // Those that are open stay; only the listening starts anew.
      server.close();
      listen(server, { ...options, port }).catch((error) =>
        options.failed("listener_failed", error)
      );
    },
  });
  return {
    hostname: address,
    port,
    async shutdown(graceMs) {
      watch[Symbol.dispose]();
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      server.closeIdleConnections();
      for (const webSocket of upgraded.values()) webSocket?.close(1001, "Server shutting down");
      await waitFor(closed, { atMostMs: graceMs, clock });
      heartbeat[Symbol.dispose]();
      server.closeAllConnections();
      for (const stream of upgraded.keys()) stream.destroy();
    },
  };
}

function createHttpServer(
  { limits, tls, path, fetch, failed, crossed }: EngineOptions,
): Server {
  const listener = boundUnanswered(getRequestListener(
    (request, { incoming }) => {
      // An upgrade without `Connection: Upgrade` comes here, as a request like any other.
      const fault = isForSockets(incoming, path) ? upgradeFault(request) : null;
      const { socket } = incoming;
      return fault ?? fetch(request, {
        address: socket.remoteAddress ?? "",
        terminate: () => void socket.destroy(),
      });
    },
    {
      overrideGlobalObjects: false,
      errorHandler: (error) => {
        // Thrown before anybody is asked, for a request without a host or with one that is no host.
        if ((error as Error).name === "RequestError") {
          return new Response("Bad request\n", { status: 400 });
        }
        failed("request_failed", error);
        return new Response("Internal error", { status: 500 });
      },
    },
  ));
  const settings = {
    IncomingMessage: QuietRequest,
    headersTimeout: limits.headerTimeoutMs,
    requestTimeout: limits.headerTimeoutMs * 2,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, limits.headerTimeoutMs),
    // Whatever else asks to be upgraded is answered as if it had not; the typings don't know the option yet.
    shouldUpgradeCallback: (request: IncomingMessage) => isForSockets(request, path),
  };
  const server: Server = tls === null ? createServer(settings, listener) : createTlsServer({
    ...settings,
    cert: tls.cert,
    key: tls.key,
    handshakeTimeout: limits.headerTimeoutMs,
  }, listener);
  server.prependListener("request", QuietRequest.announce);
  server.prependListener("upgrade", QuietRequest.announce);
  server.maxConnections = limits.maxSockets;
  boundSocketsByAddress(server, { limits, crossed });
  server.on("clientError", (error: Error & { code?: string }, stream: Duplex) => {
    const isTimeout = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
    if (isTimeout) crossed("handshake_seconds");
    // What is no fault of HTTP, a TLS handshake that never came, leaves nobody to answer.
    const isHttp = isTimeout || error.code?.startsWith("HPE_") === true;
    if (!isHttp || !stream.writable) return void stream.destroy();
    const status = isTimeout ? "408 Request Timeout" : "400 Bad Request";
    stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`, () => stream.destroy());
  });
  // A peer that asks and never takes the answer. Not as the server's own time-out: each stream that only becomes a
  // WebSocket would keep the object of its timer for good.
  server.timeout = 0;
  server.prependListener("request", ({ socket }: IncomingMessage) => {
    socket.setTimeout(limits.keepAliveTimeoutMs);
  });
  return server;
}

function listen(
  server: Server,
  { hostname, port, limits, failed, listeners = 1 }: EngineOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (error: Error & { code?: string }) =>
      reject(
        error.code === "EADDRINUSE"
          ? new Deno.errors.AddrInUse(error.message, { cause: error })
          : error,
      );
    server.once("error", refused);
    const shared = listeners > 1 ? { reusePort: true } : {};
    server.listen({ port, host: hostname, backlog: backlogOf(limits), ...shared }, () => {
      server.off("error", refused);
      server.removeAllListeners("error");
      server.on("error", (error) => failed("listener_failed", error));
      resolve();
    });
  });
}

/** The address at which the process reaches its own listener. */
function reachable(address: string): string {
  return address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
}

/** Connections are accepted in bursts before any can be dropped: a burst must fit into the descriptors set aside. */
function backlogOf({ maxSockets }: EngineOptions["limits"]): number {
  return Math.min(511, Math.max(16, Math.floor(maxSockets / 4)));
}

/** A request to be upgraded, as the HTTP server hands it over. */
interface Asked {
  readonly request: IncomingMessage;
  readonly stream: Duplex;
  readonly head: Uint8Array;
}

function destroy(this: Duplex): void {
  this.destroy();
}

async function judge(options: EngineOptions, request: IncomingMessage): Promise<Admission> {
  const handshake = handshakeOf(request);
  const fault = upgradeFault({ method: request.method ?? "GET", headers: handshake.headers });
  if (fault !== null) return { kind: "respond", response: fault };
  return await options.admit(handshake);
}

function isForSockets(
  request: { readonly headers: IncomingMessage["headers"]; readonly url?: string | undefined },
  path: string,
): boolean {
  return request.headers.upgrade?.toLowerCase() === "websocket" &&
    targetOf(request.url)?.pathname === path;
}

function handshakeOf(request: IncomingMessage): Handshake {
  const headers = new RawHeaders(request.rawHeaders);
  const search = targetOf(request.url)?.search ?? "";
  return { search, headers, address: request.socket.remoteAddress ?? "" };
}

async function refuse(stream: Duplex, response: Response): Promise<void> {
  const body = await response.text();
  const headers = new Headers(response.headers);
  headers.set("connection", "close");
  headers.set("content-length", String(new TextEncoder().encode(body).length));
  const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const status = `${response.status} ${STATUS_CODES[response.status] ?? ""}`;
  const timer = setTimeout(() => stream.destroy(), CLOSE_TIMEOUT_MS);
  stream.once("close", () => clearTimeout(timer));
  stream.end(`HTTP/1.1 ${status}\r\n${lines}\r\n${body}`, () => stream.destroy());
}
