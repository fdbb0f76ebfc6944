// Writes ready bytes into sockets as fast as they are taken: what the load client can count, and no more, is measured
// with it. It answers every handshake with the one answer that fits the one key that the load client sends.
import { Buffer } from "node:buffer";
import { createServer, type Socket } from "node:net";
import { frameOf } from "../../src/protocol/frame.ts";
import { wireOf } from "../../src/sockets/wire.ts";
import { answerAsked } from "../child.ts";
import { deviceName } from "../load/names.ts";
import { sampleOf } from "../load/samples.ts";

const ANSWER = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const HIGH_WATER_BYTES = 256 * 1_024;

const { messages } = JSON.parse(Deno.args[0] ?? "{}") as { readonly messages: number };
const sockets = new Set<Socket>();
let isRunning = false;
let rounds = 0;

const server = createServer((socket) => {
  socket.once("data", () => {
    socket.write(ANSWER);
    sockets.add(socket);
  });
  socket.on("error", () => sockets.delete(socket));
  socket.on("close", () => sockets.delete(socket));
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address() as { port: number };

/** A tick's frames in one piece. */
function bytesOf(n: number): Buffer {
  const ms = Date.now();
  return Buffer.concat(Array.from({ length: messages }, (_, nth) =>
    wireOf(frameOf({
      type: "telemetry",
      device_id: deviceName(nth),
      data: sampleOf({ ms, n, device: nth }),
    }))));
}

async function sendAll(): Promise<void> {
  while (isRunning) {
    const bytes = bytesOf(rounds++);
    for (const socket of sockets) {
      if (socket.writableLength <= HIGH_WATER_BYTES) socket.write(bytes);
    }
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

await answerAsked({
  port: () => ({ port }),
  hold: () => void (isRunning = false),
  run: () => {
    isRunning = true;
    void sendAll();
  },
});
