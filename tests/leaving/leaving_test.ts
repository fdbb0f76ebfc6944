// How the service leaves: main.ts as a process, told to go while clients of every kind hold on to it.
import assert from "node:assert/strict";
import { ServiceProcess } from "../service/service_process.ts";
import { OPCODE, RawPeer } from "../sockets/raw_peer.ts";
import { TestClient } from "../support/client.ts";
import { signToken, TEST_SECRET } from "../support/tokens.ts";
import { until } from "../support/until.ts";

const SETTINGS = {
  DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
  INFLUXDB_URL: "http://127.0.0.1:1",
  JWT_SECRET: TEST_SECRET,
  PORT: "0",
  WS_POLL_SECONDS: "0.2",
  MAX_CONNECTIONS_PER_USER: "1000",
  // Long enough that no process can be taken to leave in time because its peers were given up.
  HANDSHAKE_TIMEOUT_SECONDS: "600",
  PING_SECONDS: "600",
};
/** Far more than leaving takes on a busy machine, and less than anything that it must not wait for. */
const SOON_MS = 40_000;
/** Over so long closes are spread. */
const DRAIN_MS = 5_000;

async function addressesOf(service: ServiceProcess) {
  const port = await service.port();
  const path = `/api/v2/ws?token=${await signToken()}`;
  return { port, path, origin: `http://127.0.0.1:${port}`, url: `ws://127.0.0.1:${port}${path}` };
}

async function statusOf(url: string): Promise<number> {
  const response = await fetch(url);
  await response.body?.cancel();
  return response.status;
}

Deno.test("Leaving is spread: 200 clients are closed with 1012 over the drain, none of them without a word", async () => {
  await using service = await ServiceProcess.start({
    ...SETTINGS,
    DRAIN_SECONDS: String(DRAIN_MS / 1_000),
  });
  const { url, origin, port, path } = await addressesOf(service);
  const clients = await Promise.all(Array.from({ length: 200 }, () => TestClient.connect(url)));
  const told = clients.filter((_, index) => index % 2 === 0);
  for (const client of told) await client.ask({ action: "hello", features: ["notices"] });
  await until(() =>
    service.records.filter(({ message }) => message === "connected").length === 200
  );
  const startedAt = performance.now();
  const closedAt = clients.map((client) =>
    client.closed.then((end) => ({ ...end, atMs: performance.now() - startedAt }))
  );
  service.signal("SIGTERM");
  await service.logged("leaving");
  assert.equal(await statusOf(`${origin}/readyz`), 503);
  assert.equal(await statusOf(`${origin}/livez`), 200);
  using late = await RawPeer.request(
    port,
    `GET ${path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  );
  assert.equal(late.status, 503);
  late.vanish();
  const ends = await Promise.all(closedAt);
  assert.equal((await service.status).code, 0);
  // Who is left at the end of the drain is ended without a word.
  const codes = new Set(ends.map(({ code, reason }) => `${code} ${reason}`));
  assert.deepEqual([...codes], ["1012 Restarting"]);
  const times = ends.map(({ atMs }) => atMs).toSorted((one, other) => one - other);
  // In any fifth of the drain no more than two thirds of them, though a busy machine hears of some late.
  for (const time of times) {
    const close = times.filter((other) => other >= time && other < time + DRAIN_MS / 5);
    assert(close.length < 134, `${close.length} were closed within ${DRAIN_MS / 5} ms`);
  }
  const notices = (client: TestClient) =>
    client.messages.filter(({ type }) => type === "reconnect");
  assert(told.every((client) => notices(client).length === 1));
  assert(clients.every((client) => told.includes(client) || notices(client).length === 0));
  const delays = told.map((client) => notices(client)[0]?.after_ms as number);
  assert(delays.every((delay) => Number.isInteger(delay) && delay >= 0 && delay <= 2 * DRAIN_MS));
  assert(new Set(delays).size > 50, "they would all come back at once");
  assert(Math.max(...delays) - Math.min(...delays) > 1_500);
});

Deno.test("It leaves with 0 in time with peers that are silent, stuck, half-open, half-closed or without headers", async () => {
  await using service = await ServiceProcess.start({ ...SETTINGS, DRAIN_SECONDS: "2" });
  const { port, path } = await addressesOf(service);
  const peers: RawPeer[] = [];
  for (let index = 0; index < 5; index++) peers.push(await RawPeer.upgrade(port, path));
  // Stuck: answers that nobody reads.
  const asking = await RawPeer.upgrade(port, path);
  const isStuck = (async () => {
    for (let index = 0; index < 400; index++) {
      await asking.send(OPCODE.text, JSON.stringify({ action: "ping", id: "x".repeat(64) }));
    }
  })().catch(() => {});
  const headerless = await RawPeer.silent(port);
  const half = await RawPeer.silent(port);
  await half.write(new TextEncoder().encode("GET /livez HTTP/1.1\r\nHos"));
  const idle = await RawPeer.request(port, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
  const body = await RawPeer.silent(port);
  const headers = "Host: a\r\nContent-Length: 100\r\n";
  await body.write(
    new TextEncoder().encode(`POST /api/v2/ws-ticket HTTP/1.1\r\n${headers}\r\nhalf`),
  );
  await isStuck;
  await until(() => service.records.filter(({ message }) => message === "connected").length === 6);
  const startedAt = performance.now();
  service.signal("SIGTERM");
  assert.equal((await service.status).code, 0);
  const tookMs = performance.now() - startedAt;
  assert(tookMs < SOON_MS, `it took ${tookMs} ms`);
  await service.logged("left");
  for (const peer of [...peers, asking, headerless, half, idle, body]) peer.vanish();
});

Deno.test("Without clients it leaves at once, however long it may drain", async () => {
  await using service = await ServiceProcess.start({ ...SETTINGS, DRAIN_SECONDS: "60" });
  await service.port();
  const startedAt = performance.now();
  service.signal("SIGTERM");
  assert.equal((await service.status).code, 0);
  assert(performance.now() - startedAt < SOON_MS);
});

Deno.test("A signal that a task runner passes on as well begins one drain, and does not cut it short", async () => {
  await using service = await ServiceProcess.start({ ...SETTINGS, DRAIN_SECONDS: "2" });
  const { url } = await addressesOf(service);
  const clients = await Promise.all(Array.from({ length: 5 }, () => TestClient.connect(url)));
  // Two of one kind would reach it as one.
  service.signal("SIGINT");
  service.signal("SIGTERM");
  const ends = await Promise.all(clients.map((client) => client.closed));
  assert.deepEqual([...new Set(ends.map(({ code }) => code))], [1012]);
  assert.equal((await service.status).code, 0);
  await service.logged("left");
  assert.equal(service.records.filter(({ message }) => message === "leaving").length, 1);
});

Deno.test("A second signal ends it at once with 130, in the middle of its drain", async () => {
  await using service = await ServiceProcess.start({ ...SETTINGS, DRAIN_SECONDS: "60" });
  const { url } = await addressesOf(service);
  const clients = await Promise.all(Array.from({ length: 20 }, () => TestClient.connect(url)));
  service.signal("SIGTERM");
  await service.logged("leaving");
  // One that comes sooner counts as the first.
  await new Promise((resolve) => setTimeout(resolve, 600));
  const startedAt = performance.now();
  service.signal("SIGINT");
  assert.equal((await service.status).code, 130);
  assert(performance.now() - startedAt < SOON_MS);
  await Promise.all(clients.map((client) => client.closed));
});

Deno.test("A signal that comes while it starts is not lost", async () => {
  await using service = await ServiceProcess.start(SETTINGS);
  await service.logged("listening");
  service.signal("SIGTERM");
  assert.equal((await service.status).code, 0);
});

for (const engine of ["ws", "deno"] as const) {
  Deno.test(`A port that is taken ends it with 1 and a sentence (${engine} engine)`, async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    const settings = { ...SETTINGS, WS_ENGINE: engine, PORT: String(port) };
    await using service = await ServiceProcess.start(settings);
    assert.equal((await service.status).code, 1);
    const sentence = `Cannot listen on 127.0.0.1 port ${port}: it is in use`;
    assert.equal(service.stderr.trim().split("\n").at(-1), sentence);
  });

  Deno.test(`A host that is not this machine's ends it with 1 and a sentence (${engine} engine)`, async () => {
    const settings = { ...SETTINGS, WS_ENGINE: engine, HOST: "192.0.2.1" };
    await using service = await ServiceProcess.start(settings);
    assert.equal((await service.status).code, 1);
    const sentence = service.stderr.trim().split("\n").at(-1) ?? "";
    assert.match(sentence, /^Cannot listen on 192\.0\.2\.1 port 0: .+$/);
  });
}
