// Clients that read slowly or not at all, at a whole service on the `ws` engine: what they miss, how they are ended, and
// that nobody else notices.
import assert from "node:assert/strict";
import { clientFrame, OPCODE, RawPeer } from "../sockets/raw_peer.ts";
import { type FakeSources, fakeSources } from "../support/fake_sources.ts";
import { openDescriptors, residentMegabytes } from "../support/process_usage.ts";
import { sampleAt } from "../support/samples.ts";
import { startService, type TestService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { pause, until } from "../support/until.ts";

/** Writes a sample of a new second each time it is called; `kilobytes` of it are filling. */
function writer(sources: FakeSources, deviceId: string, { kilobytes = 0 } = {}) {
  const filling = "x".repeat(kilobytes * 1_024);
  let second = 0;
  return () => {
    second++;
    sources.put("acme", deviceId, { ...sampleAt(second), metrics: { seq: second, filling } });
    return second;
  };
}

async function serveOn(sources: FakeSources, settings: Record<string, string> = {}) {
  return await startService({
    sources,
    settings: { WS_POLL_SECONDS: "0.1", SLOW_CLIENT_SECONDS: "1", ...settings },
  });
}

async function connectRaw(service: TestService): Promise<RawPeer> {
  const { pathname, search } = new URL(service.socketUrl(await signToken()));
  return await RawPeer.upgrade(service.port, pathname + search);
}

const subscribe = (deviceId: string) =>
  JSON.stringify({ action: "subscribe", type: "device", device_id: deviceId });

async function nextSeq(peer: RawPeer): Promise<number | null> {
  for (;;) {
    const frame = await peer.read();
    if (frame === null || frame.opcode === OPCODE.close) return null;
    if (frame.opcode !== OPCODE.text) continue;
    const message = JSON.parse(new TextDecoder().decode(frame.payload));
    if (message.type === "telemetry") return message.data.metrics.seq;
  }
}

Deno.test("A client that reads slowly misses ticks and goes on with the newest state", async () => {
  const sources = fakeSources();
  const write = writer(sources, "big", { kilobytes: 512 });
  let newest = write();
  await using service = await serveOn(sources, { SLOW_CLIENT_SECONDS: "60" });
  const peer = await connectRaw(service);
  await peer.send(OPCODE.text, subscribe("big"));
  assert.equal(await nextSeq(peer), 1);
  // Every read finds a newer sample, so that every push that is left out leaves out a sample.
  sources.telemetryFault = () => {
    newest = write();
    return null;
  };
  // It stops reading until the socket is full and pushes are left out.
  const [connection] = service.app.manager.connections;
  await until(() => (connection?.missedPushes ?? 0) >= 5);
  sources.telemetryFault = null;
  const seen: number[] = [];
  while (seen.at(-1) !== newest) seen.push(await nextSeq(peer) ?? assert.fail("It was closed"));
  assert.deepEqual(seen, seen.toSorted((one, other) => one - other));
  // The newest of those that were left out comes in the end.
  assert(new Set(seen).size <= newest - 4, `it got ${seen} of ${newest}`);
  peer.vanish();
});

Deno.test("Stuck clients are closed with 4008 and ended, memory and descriptors freed, and nobody waits for them", async () => {
  const sources = fakeSources();
  const write = writer(sources, "big", { kilobytes: 512 });
  const writeSmall = writer(sources, "small");
  write();
  writeSmall();
  await using service = await serveOn(sources, { SLOW_CLIENT_SECONDS: "2" });
  await using healthy = await service.connect();
  await healthy.subscribe("small");
  const descriptors = await openDescriptors();
  const megabytes = await residentMegabytes();
  const stuck = await Promise.all(Array.from({ length: 100 }, () => connectRaw(service)));
  await until(() => service.app.manager.connectionCount === 101);
  // Some that were counted at first may have been on their way out.
  assert(await openDescriptors() >= descriptors + 190);
  for (const peer of stuck) await peer.send(OPCODE.text, subscribe("big"));
  const timer = setInterval(() => (write(), writeSmall()), 100);
  let from = healthy.messages.length;
  let pushes = 0;
  let peak = 0;
  const ended = () => service.log.of("disconnected").length;
  const deadline = performance.now() + 90_000;
  while (ended() < 100 && performance.now() < deadline) {
    await healthy.next(({ type }) => type === "telemetry", { from });
    from = healthy.messages.length;
    pushes++;
    peak = Math.max(peak, await residentMegabytes());
  }
  clearInterval(timer);
  assert.equal(ended(), 100);
  assert.equal(service.log.of("slow_client").length, 100);
  assert.equal(service.app.manager.connectionCount, 1);
  // Ten a second, and the stuck are borne for two: who waited for them would get one.
  assert(pushes >= 5, `a healthy client got ${pushes} pushes beside the stuck ones`);
  // Nobody's backlog is more than its high-water mark and one push.
  assert(peak - megabytes < 250, `memory grew by ${peak - megabytes} MB`);
  for (const peer of stuck) peer.vanish();
  await until(async () => await openDescriptors() <= descriptors + 4, { what: "Free descriptors" });
});

Deno.test("A stuck client's end is on the wire: what waits, then 4008 or nothing", async () => {
  const sources = fakeSources();
  const write = writer(sources, "big", { kilobytes: 1_024 });
  write();
  await using service = await serveOn(sources);
  const codes: Array<number | null> = [];
  // It wakes up in time to take the rest, so that it hears why; on a busy machine perhaps not the first time.
  while (!codes.includes(4008) && codes.length < 5) {
    const told = service.log.of("slow_client").length;
    const peer = await connectRaw(service);
    await peer.send(OPCODE.text, subscribe("big"));
    const timer = setInterval(write, 100);
    await until(() => service.log.of("slow_client").length > told);
    clearInterval(timer);
    codes.push(await peer.closeCode());
    peer.vanish();
  }
  assert.equal(codes.at(-1), 4008);
  assert.deepEqual(codes.slice(0, -1).filter((code) => code !== null), []);
  await until(() => service.app.manager.connectionCount === 0);
});

Deno.test("A client that asks and never reads is ended, too", async () => {
  const sources = fakeSources();
  await using service = await serveOn(sources, {
    MAX_MESSAGES_PER_SECOND: "100000",
    SOCKET_HIGH_WATER_BYTES: "16384",
  });
  const peer = await connectRaw(service);
  const before = await residentMegabytes();
  const id = "x".repeat(64);
  const ping = clientFrame(OPCODE.text, JSON.stringify({ action: "ping", id }));
  const many = new Uint8Array(ping.length * 500);
  for (let index = 0; index < 500; index++) many.set(ping, index * ping.length);
  const asking = (async () => {
    for (;;) {
      await peer.write(many);
      await pause(10);
    }
  })().catch(() => {});
  await until(() => service.log.of("disconnected").length === 1, { withinMs: 60_000 });
  assert(await residentMegabytes() - before < 150);
  assert.equal(service.app.ledger.crossings("messages_per_second"), 0, "for another reason");
  peer.vanish();
  await asking;
});
