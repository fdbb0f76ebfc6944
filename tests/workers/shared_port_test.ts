// A port that several listeners share: each finds out whether it still hears, though most of its questions go to others.
import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { ListenerWatch } from "../../src/sockets/listener_watch.ts";
import { until } from "../support/until.ts";

async function listenOn(port: number): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.resume();
  });
  await new Promise<void>((resolve) =>
    server.listen({ port, host: "127.0.0.1", reusePort: true }, resolve)
  );
  return { server, port: (server.address() as { port: number }).port };
}

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

Deno.test("Of listeners that share a port only the one that hears nothing any more is deaf", async () => {
  const first = await listenOn(0);
  const { port } = first;
  const second = await listenOn(port);
  // What it would hear is heard by nobody: the others take all that comes.
  const silent = createServer();
  const deaf: string[] = [];
  const watch = (name: string, server: Server) =>
    new ListenerWatch({
      server,
      hostname: "127.0.0.1",
      port,
      listeners: 3,
      intervalMs: 50,
      deaf: () => deaf.push(name),
    });
  const watches = [
    watch("first", first.server),
    watch("second", second.server),
    watch("silent", silent),
  ];
  try {
    await until(() => deaf.length > 0);
    assert.deepEqual([...new Set(deaf)], ["silent"]);
  } finally {
    for (const watch of watches) watch[Symbol.dispose]();
    await Promise.all([close(first.server), close(second.server)]);
  }
});
