// A WebSocket of `ws` that tells one attendant of all that happens, in place of a listener for each event: five listeners
// take 700 bytes of every socket. Nobody else may listen to it: they would hear nothing.
// @ts-types="./ws.d.ts"
import { WebSocket } from "ws";
import type { Duplex } from "node:stream";
import { endOnce } from "./end_once.ts";

export interface Attendant {
  heardMessage(data: Uint8Array, isBinary: boolean): void;
  heardPing(data: Uint8Array): void;
  heardPong(): void;
  heardError(error: Error): void;
  heardClose(code: number): void;
}

export class AttendedWebSocket extends WebSocket {
  attendant: Attendant | null = null;

  override setSocket(stream: Duplex, head: Uint8Array, options: object): void {
    super.setSocket(endOnce(stream), head, options);
    endOnce(this._receiver);
  }

  override emit(event: string, first?: unknown, second?: unknown): boolean {
    const { attendant } = this;
    if (attendant === null) return false;
    switch (event) {
      case "message":
        attendant.heardMessage(first as Uint8Array, second as boolean);
        return true;
      case "ping":
        attendant.heardPing(first as Uint8Array);
        return true;
      case "pong":
        attendant.heardPong();
        return true;
      case "error":
        attendant.heardError(first as Error);
        return true;
      case "close":
        attendant.heardClose(first as number);
        return true;
      default:
        return false;
    }
  }
}
