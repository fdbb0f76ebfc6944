// The part of `ws` that the engine uses. The published types pull in Node's globals, which are not Deno's.
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

export interface WebSocket {
  readonly OPEN: number;
  readonly readyState: number;
  close(code: number, reason: string): void;
  terminate(): void;
  ping(): void;
  pong(data: Uint8Array): void;
  on(event: "ping", listener: (data: Uint8Array) => void): void;
  on(event: "pong", listener: () => void): void;
  on(event: "error", listener: (error: Error) => void): void;
  on(event: "message", listener: (data: Uint8Array, isBinary: boolean) => void): void;
  once(event: "close", listener: (code: number) => void): void;
}

export interface ServerOptions {
  readonly noServer: true;
  readonly maxPayload: number;
  readonly perMessageDeflate: false;
  readonly clientTracking: false;
  readonly autoPong: false;
  /** Milliseconds that a peer has to answer a close frame. */
  readonly closeTimeout: number;
  readonly handleProtocols: (offered: Set<string>, request: IncomingMessage) => string | false;
}

export class WebSocketServer {
  constructor(options: ServerOptions);
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    callback: (webSocket: WebSocket) => void,
  ): void;
}
