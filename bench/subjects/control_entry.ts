// The bare runtime: what a bench's figures are held against. It upgrades whoever comes and can send ready strings to all
// of them in a loop; it verifies, reads and knows nothing.
import { answerAsked } from "../child.ts";
import { deviceName } from "../load/names.ts";
import { sampleOf } from "../load/samples.ts";

export interface ControlOptions {
  /** Messages that each socket is sent in each round. */
  readonly messages: number;
  /** A peer that answers no ping is closed after so long; 0 for never. */
  readonly idleSeconds: number;
}

/** As full as the service lets a socket become. */
const HIGH_WATER_BYTES = 256 * 1_024;

const { messages, idleSeconds } = JSON.parse(Deno.args[0] ?? "{}") as ControlOptions;
const sockets = new Set<WebSocket>();
let isRunning = false;
let rounds = 0;

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: idleSeconds });
  socket.onopen = () => sockets.add(socket);
  socket.onerror = (event) => event.preventDefault();
  socket.onclose = () => sockets.delete(socket);
  return response;
});

/** The same strings for all, made before they are sent. */
function stringsOf(n: number): readonly string[] {
  const ms = Date.now();
  return Array.from({ length: messages }, (_, nth) =>
    JSON.stringify({
      type: "telemetry",
      device_id: deviceName(nth),
      data: sampleOf({ ms, n, device: nth }),
    }));
}

async function sendAll(): Promise<void> {
  while (isRunning) {
    const strings = stringsOf(rounds++);
    for (const socket of sockets) {
      if (socket.readyState !== WebSocket.OPEN || socket.bufferedAmount > HIGH_WATER_BYTES) {
        continue;
      }
      for (const text of strings) socket.send(text);
    }
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

const collectGarbage = (globalThis as { gc?: () => void }).gc;

await answerAsked({
  port: () => ({ port: server.addr.port }),
  hold: () => void (isRunning = false),
  run: () => {
    isRunning = true;
    void sendAll();
  },
  holding: async () => {
    for (let nth = 0; nth < 3; nth++) {
      collectGarbage?.();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const { heapUsed, rss } = Deno.memoryUsage();
    return { connections: sockets.size, heapBytes: heapUsed, residentBytes: rss };
  },
});
