// The port to one client's WebSocket; engines implement it, connections use it, and neither sees the other.
import type { Frame } from "../protocol/frame.ts";

export interface Socket {
  /** Bytes handed over and not yet taken by the kernel. */
  readonly bufferedBytes: number;
  /** Whether its client can come back with the `resumeFrom` that it was sent last; a WebSocket's client knows its own cursors. */
  readonly isResumable?: boolean;
  /**
   * Sends the frames in order, in as few writes as the engine can; does nothing once closing. Where the socket is
   * resumable, `resumeFrom` is the instant (nine digits) from which nothing is missing when it is read again.
   */
  send(frames: readonly Frame[], resumeFrom?: string | null): void;
  /** Starts the closing handshake; later calls do nothing. The reason is at most 123 bytes of UTF-8. */
  close(code: number, reason: string): void;
  /** Ends the connection without a handshake, as far as the engine can. */
  terminate(): void;
}

/** What a connection does with what its socket brings. None of these may throw. */
export interface SocketEvents {
  text(data: string): void;
  binary(byteLength: number): void;
  /** Called exactly once, whoever closed. */
  closed(code: number): void;
}

/** Takes a socket that has just opened and returns what to do with it. */
export type Opened = (socket: Socket) => SocketEvents;

/** What an engine knows of a client that asks to upgrade; it may be looked at until the verdict, and no longer. */
export interface Handshake {
  /** The target's query with its question mark; empty where it has none. */
  readonly search: string;
  readonly headers: Pick<Headers, "get">;
  /** The peer's address as the engine sees it. */
  readonly address: string;
}

/** Who sent a request, as the engine sees it. */
export interface Peer {
  readonly address: string;
  /** Ends its connection with whatever of an answer is still under way, as far as the engine can. */
  terminate(): void;
}

/** The door's verdict on a handshake. */
export type Admission =
  | {
    readonly kind: "upgrade";
    readonly opened: Opened;
    /** Called once in place of `closed` when the client was gone before its socket opened, or `opened` threw. */
    readonly abandoned: () => void;
    readonly protocol: string | null;
  }
  | { readonly kind: "respond"; readonly response: Response };

/** An engine that can't hold one of these says so where it is chosen. */
export interface EngineLimits {
  /** Bytes of one message, fragments together; over it the socket is closed with 1009. */
  readonly maxMessageBytes: number;
  /** TCP connections in all; further ones are not accepted. */
  readonly maxSockets: number;
  /** Of them, those of one address; not bounded where nothing is said. */
  readonly maxSocketsOfAddress?: {
    readonly most: number;
    /** What an address counts by; null for one that is not counted. */
    readonly keyOf: (address: string) => string | null;
  };
  /** Time for a request's headers. */
  readonly headerTimeoutMs: number;
  /** Time that a connection may idle between two requests, or leave an answer untaken. */
  readonly keepAliveTimeoutMs: number;
  /** Peers are pinged this often; one that stays silent for a whole round is ended by the next. */
  readonly pingIntervalMs: number;
}

export interface EngineOptions {
  readonly hostname: string;
  readonly port: number;
  /** The path whose upgrade requests go to `admit`; everything else goes to `fetch`. */
  readonly path: string;
  readonly fetch: (request: Request, peer: Peer) => Response | Promise<Response>;
  readonly admit: (handshake: Handshake) => Promise<Admission>;
  readonly limits: EngineLimits;
  /** PEM of the certificate chain and its key; null to serve plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** How many listeners share the port, each taking some of the connections; one where nothing is said. */
  readonly listeners?: number;
  /** Told of a limit that a peer crossed inside the engine. */
  readonly crossed: (
    limit: "message_bytes" | "handshake_seconds" | "connections_per_address",
  ) => void;
  /** Told of faults that are ours or the runtime's; never of a client's. */
  readonly failed: (fault: string, error: unknown) => void;
}

/** A listening engine. */
export interface Engine {
  readonly hostname: string;
  readonly port: number;
  /** Stops listening; resolves when requests under way are answered or after `graceMs`, whatever peers do. */
  shutdown(graceMs: number): Promise<void>;
}
