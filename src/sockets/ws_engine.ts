// `node:http` and `ws` inside Deno: bounds messages, headers and connections, ends stuck peers, and writes the frames of
// one push together, from bytes that were built once for all clients. The engine to face a network with.
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
// @ts-types="./ws.d.ts"
import { type WebSocket, WebSocketServer } from "ws";
import { Heartbeat } from "./heartbeat.ts";
import { ListenerWatch } from "./listener_watch.ts";
import type { Admission, Engine, EngineOptions, Handshake } from "./socket.ts";
import { QuietRequest } from "./quiet_request.ts";
import { upgradeFault } from "./upgrade_fault.ts";
import { openWsSocket } from "./ws_socket.ts";

/** After a close frame, or a refusal by HTTP, a peer has this long to take it before its connection is ended. */
const CLOSE_TIMEOUT_MS = 2_000;

/** Serves HTTP and upgrades on one port. Rejects with what listening threw. */
export async function serveWs(options: EngineOptions): Promise<Engine> {
  const server = createHttpServer(options);
  const selected = new WeakMap<IncomingMessage, string>();
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: options.limits.maxMessageBytes,
    perMessageDeflate: false,
    clientTracking: false,
    autoPong: false,
    closeTimeout: CLOSE_TIMEOUT_MS,
    handleProtocols: (_offered, request) => selected.get(request) ?? false,
  });
  await listen(server, options);
  const heartbeat = new Heartbeat({ intervalMs: options.limits.pingIntervalMs });
  /** Streams that the HTTP server handed over, each with its WebSocket once it has one. */
  const upgraded = new Map<Duplex, WebSocket | null>();

  server.on("upgrade", async (request, stream, head) => {
    // A peer that leaves while it is judged must not be an uncaught error.
    stream.on("error", () => stream.destroy());
    upgraded.set(stream, null);
    stream.once("close", () => upgraded.delete(stream));
    try {
      const admission = await judge(options, request);
      if (admission.kind === "respond") {
        await refuse(stream, admission.response);
        return;
      }
      if (admission.protocol !== null) selected.set(request, admission.protocol);
      upgrade(stream, { admission, failed: options.failed }, (opened) =>
        // `ws` answers an ill-formed upgrade itself and ends the stream.
        sockets.handleUpgrade(request, stream, head, (webSocket) => {
          opened();
          upgraded.set(stream, webSocket);
          const { crossed, failed } = options;
          openWsSocket({ webSocket, stream }, { admission, heartbeat, crossed, failed });
        }));
    } catch (error) {
      options.failed("handshake_failed", error);
      await refuse(stream, new Response("Internal error", { status: 500 }));
    }
  });

  const { address, port } = server.address() as AddressInfo;
  const watch = new ListenerWatch({
    server,
    hostname: reachable(address),
    port,
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
      let timer: ReturnType<typeof setTimeout> | undefined;
      const grace = new Promise<void>((resolve) => timer = setTimeout(resolve, graceMs));
      await Promise.race([closed, grace]);
      clearTimeout(timer);
      heartbeat[Symbol.dispose]();
      server.closeAllConnections();
      for (const stream of upgraded.keys()) stream.destroy();
    },
  };
}

function createHttpServer(
  { limits, tls, path, fetch, failed, crossed }: EngineOptions,
): Server {
  const listener = getRequestListener(
    (request, { incoming: { socket } }) =>
      fetch(request, {
        address: socket.remoteAddress ?? "",
        terminate: () => void socket.destroy(),
      }),
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
  );
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
  server.on("clientError", (error: Error & { code?: string }, stream: Duplex) => {
    const isTimeout = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
    if (isTimeout) crossed("handshake_seconds");
    // What is no fault of HTTP, a TLS handshake that never came, leaves nobody to answer.
    const isHttp = isTimeout || error.code?.startsWith("HPE_") === true;
    if (!isHttp || !stream.writable) return void stream.destroy();
    const status = isTimeout ? "408 Request Timeout" : "400 Bad Request";
    stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`, () => stream.destroy());
  });
  // A peer that asks and never takes the answer.
  server.timeout = limits.keepAliveTimeoutMs;
  return server;
}

function listen(
  server: Server,
  { hostname, port, limits, failed }: EngineOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (error: Error & { code?: string }) =>
      reject(
        error.code === "EADDRINUSE"
          ? new Deno.errors.AddrInUse(error.message, { cause: error })
          : error,
      );
    server.once("error", refused);
    server.listen({ port, host: hostname, backlog: backlogOf(limits) }, () => {
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

/** Opens what was admitted, and sees to it that what closes before is abandoned once. */
function upgrade(
  stream: Duplex,
  { admission, failed }: {
    admission: Extract<Admission, { kind: "upgrade" }>;
    failed: EngineOptions["failed"];
  },
  open: (opened: () => void) => void,
): void {
  let isSettled = false;
  const abandon = () => {
    if (isSettled) return;
    isSettled = true;
    try {
      admission.abandoned();
    } catch (error) {
      failed("handshake_failed", error);
    }
  };
  if (stream.destroyed) {
    abandon();
    return;
  }
  stream.once("close", abandon);
  open(() => isSettled = true);
}

async function judge(options: EngineOptions, request: IncomingMessage): Promise<Admission> {
  const handshake = handshakeOf(request);
  const fault = upgradeFault({ method: request.method ?? "GET", headers: handshake.headers });
  if (fault !== null) return { kind: "respond", response: fault };
  return await options.admit(handshake);
}

function isForSockets(request: IncomingMessage, path: string): boolean {
  return request.headers.upgrade?.toLowerCase() === "websocket" &&
    urlOf(request)?.pathname === path;
}

/** The target's path and query; null where it is no path. */
function urlOf({ url = "/" }: IncomingMessage): URL | null {
  return url.startsWith("/") ? URL.parse(`http://localhost${url}`) : null;
}

function handshakeOf(request: IncomingMessage): Handshake {
  const headers = new Headers();
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    headers.append(request.rawHeaders[i] ?? "", request.rawHeaders[i + 1] ?? "");
  }
  const url = urlOf(request) ?? new URL("http://localhost");
  return { url, headers, address: request.socket.remoteAddress ?? "" };
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
