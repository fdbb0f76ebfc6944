// Bounds the TCP connections of one address, whatever they ask or do not ask: who has no token is not counted at the door.
// It knows what addresses count by from whoever sets the bound.
import type { Server } from "node:http";
import type { Socket } from "node:net";
import type { EngineOptions } from "./socket.ts";

/** What one address holds; shared by all of its sockets. */
interface Held {
  readonly key: string;
  sockets: number;
}

export function boundSocketsByAddress(
  server: Server,
  { limits: { maxSocketsOfAddress: bound }, crossed }: Pick<EngineOptions, "limits" | "crossed">,
): void {
  if (bound === undefined) return;
  const held = new Map<string, Held>();
  const holders = new WeakMap<Socket, Held>();
  // Made once: whatever is made for each socket is kept for as long as the socket.
  const forget = function (this: Socket) {
    const by = holders.get(this);
    if (by !== undefined && --by.sockets === 0) held.delete(by.key);
  };
  server.on("connection", (socket: Socket) => {
    const key = bound.keyOf(socket.remoteAddress ?? "");
    if (key === null) return;
    const by = held.get(key) ?? { key, sockets: 0 };
    if (by.sockets >= bound.most) {
      crossed("connections_per_address");
      return void socket.destroy();
    }
    by.sockets++;
    held.set(key, by);
    holders.set(socket, by);
    socket.on("close", forget);
  });
}
