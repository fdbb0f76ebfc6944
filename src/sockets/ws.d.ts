// The part of `ws` that the engine uses. The published types pull in Node's globals, which are not Deno's.
import type { IncomingMessage } from "node:http";
import type { Duplex, Writable } from "node:stream";

export class WebSocket {
  constructor(address: null, protocols: undefined, options: object);
  readonly OPEN: number;
  readonly readyState: number;
  close(code: number, reason: string): void;
  terminate(): void;
  ping(): void;
  pong(data: Uint8Array): void;
  /** Takes over the stream of an upgrade. */
  setSocket(stream: Duplex, head: Uint8Array, options: object): void;
  /** What the stream brings is written here; there from then on. */
  readonly _receiver: Writable;
  /** Called with each event and what it brings. */
  emit(event: string, ...brought: unknown[]): boolean;
}

export interface ServerOptions<Kind extends WebSocket> {
  readonly noServer: true;
  readonly WebSocket: new (...of: ConstructorParameters<typeof WebSocket>) => Kind;
  readonly maxPayload: number;
  /** Of one message; with one more its socket is closed with 1008. */
  readonly maxFragments: number;
  readonly perMessageDeflate: false;
  readonly clientTracking: false;
  readonly autoPong: false;
  /** Milliseconds that a peer has to answer a close frame. */
  readonly closeTimeout: number;
  readonly handleProtocols: (offered: Set<string>, request: IncomingMessage) => string | false;
}

export class WebSocketServer<Kind extends WebSocket> {
  constructor(options: ServerOptions<Kind>);
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    callback: (webSocket: Kind) => void,
  ): void;
}
