// What the `ws` engine puts on the wire: frames as RFC 6455 wants them, made once, a push in one write, over TLS as well.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { Heartbeat } from "../../src/sockets/heartbeat.ts";
import { JoinedWires } from "../../src/sockets/joined_wires.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { wireOf } from "../../src/sockets/wire.ts";
import { serveWs } from "../../src/sockets/ws_engine.ts";
import { openWsSocket } from "../../src/sockets/ws_socket.ts";
import { type Frame, frameBytes, frameOfParts, frameText } from "../../src/protocol/frame.ts";
import { makeCertificate } from "../support/certificate.ts";
import { until } from "../support/until.ts";
import { EngineHarness, note, PATH, SOON_MS } from "./engine_harness.ts";
import { clientFrame, OPCODE, RawPeer, upgradeRequest } from "./raw_peer.ts";

/** A frame whose JSON has exactly so many bytes, some letters of which may be given. */
function noteOf(bytes: number, letters = ""): Frame {
  const rest = bytes - frameBytes(note(1));
  const given = rest < Buffer.byteLength(letters) ? "" : letters;
  return note(1, given + "x".repeat(rest - Buffer.byteLength(given)));
}

const HEADERS: ReadonlyArray<readonly [length: number, header: readonly number[]]> = [
  [125, [0x81, 125]],
  [126, [0x81, 126, 0, 126]],
  [65_535, [0x81, 126, 0xff, 0xff]],
  [65_536, [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]],
];

for (const [length, header] of HEADERS) {
  Deno.test(`A frame of ${length} bytes has the header that RFC 6455 wants, and arrives`, async () => {
    const frame = noteOf(length);
    const wire = wireOf(frame);
    assert.deepEqual([...wire.subarray(0, header.length)], header);
    assert.equal(wire.length, header.length + length);
    assert.equal(new TextDecoder().decode(wire.subarray(header.length)), frameText(frame));
    assert.equal(wireOf(frame), wire);
    await using harness = await EngineHarness.start(serveWs);
    const [client, { socket }] = await harness.connect();
    socket.send([frame]);
    await until(() => client.texts.length === 1);
    assert.equal(client.texts[0], frameText(frame));
    await client.close();
  });
}

Deno.test("The length of a frame counts bytes, not letters", () => {
  const wire = wireOf(note(1, "ä€😀".repeat(20)));
  assert.equal(wire[1], 126);
  assert.equal(((wire[2] ?? 0) << 8) | (wire[3] ?? 0), wire.length - 4);
});

for (const lengths of [[], [60], [125, 126], [48, 65_535, 48], [65_536, 50, 70_000, 126]]) {
  Deno.test(`A message made of messages of ${lengths.join(", ") || "no"} bytes has the bytes of its text`, () => {
    const frames = lengths.map((length) => noteOf(length, "ä€😀"));
    const parts = { head: '{"type":"batch","messages":[', frames, tail: "]}" };
    const frame = frameOfParts(frames[0]?.message ?? note(1).message, parts);
    const whole = wireOf(frame);
    const text = `{"type":"batch","messages":[${frames.map(frameText).join()}]}`;
    assert.deepEqual(new Uint8Array(whole), new Uint8Array(wireOf({ ...note(1), text })));
    assert.equal(frameText(frame), text);
    assert.equal(frameBytes(frame), new TextEncoder().encode(text).length);
    assert.equal(frameBytes({ ...frame, wire: null, bytes: null }), frameBytes(frame));
    for (const [index, length] of lengths.entries()) {
      assert.equal(frameBytes(frames[index] as Frame), length);
    }
  });
}

Deno.test("A push of many frames is handed to the kernel in one write", async () => {
  const writes: number[] = [];
  const stream = new Duplex({
    read() {},
    write(_chunk, _encoding, done) {
      writes.push(1);
      done();
    },
    writev(chunks, done) {
      writes.push(chunks.length);
      done();
    },
  });
  using heartbeat = new Heartbeat({ intervalMs: 60_000 });
  let socket: Socket | null = null;
  const webSocket = { OPEN: 1, readyState: 1, attendant: null, close() {}, terminate() {} };
  openWsSocket({ webSocket: { ...webSocket, ping() {}, pong() {} }, stream }, {
    shared: {
      heartbeat,
      joined: new JoinedWires(),
      crossed() {},
      failed: (_, error) => assert.fail(String(error)),
    },
    admission: {
      kind: "upgrade",
      protocol: null,
      abandoned() {},
      opened(opened) {
        socket = opened;
        return { text() {}, binary() {}, closed() {} };
      },
    },
  });
  (socket as Socket | null)?.send(Array.from({ length: 10 }, (_, index) => note(index)));
  await until(() => writes.length > 0);
  assert.deepEqual(writes, [1]);
});

Deno.test("A push of many megabytes arrives whole and in order", async () => {
  await using harness = await EngineHarness.start(serveWs);
  const [client, { socket }] = await harness.connect();
  const filling = "ä".repeat(1 << 19);
  socket.send(Array.from({ length: 40 }, (_, index) => note(index, filling)));
  await until(() => client.texts.length === 40, { withinMs: 60_000 });
  assert(client.messages.every(({ message }, index) => message === `${index}${filling}`));
  await client.close();
});

Deno.test("TLS carries requests and sockets, and those who never greet are ended", async () => {
  const { authority, certificate: cert, key } = await makeCertificate();
  await using harness = await EngineHarness.start(serveWs, {
    tls: { cert, key },
    // Those who do greet must be through with it by then, on a slow machine, too.
    limits: { headerTimeoutMs: 3_000 },
  });
  const { port } = harness.engine;
  const silent = await RawPeer.silent(port);
  const plain = await RawPeer.silent(port);
  await plain.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  const asked = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  using request = await RawPeer.request(port, asked, { authority });
  assert.equal(request.status, 418);
  using peer = await RawPeer.request(port, upgradeRequest(PATH), { authority });
  assert.equal(peer.status, 101);
  await until(() => harness.accepted.length === 1);
  const [accepted] = harness.accepted;
  await peer.write(clientFrame(OPCODE.text, "over TLS"));
  await until(() => accepted?.texts.length === 1);
  accepted?.socket.send([noteOf(100), noteOf(70_000)]);
  assert.equal((await peer.read())?.payload.length, 100);
  assert.equal((await peer.read())?.payload.length, 70_000);
  for (const stranger of [silent, plain]) {
    assert(await stranger.endsWithin(SOON_MS));
    stranger.vanish();
  }
  peer.vanish();
  await until(() => accepted?.closes.length === 1);
  assert.deepEqual(harness.faults, []);
});

Deno.test("A request under way is answered before the engine is shut", async () => {
  const answer = Promise.withResolvers<void>();
  await using harness = await EngineHarness.start(serveWs, {
    fetch: async () => {
      await answer.promise;
      return new Response("done");
    },
  });
  const asked = fetch(harness.origin);
  await until(() => harness.fetched.length === 1);
  const shut = harness.engine.shutdown(60_000);
  answer.resolve();
  assert.equal(await (await asked).text(), "done");
  const startedAt = performance.now();
  await shut;
  assert(performance.now() - startedAt < SOON_MS);
});

Deno.test("Shutting the engine takes its grace and no more, whatever peers hold", async () => {
  const harness = await EngineHarness.start(serveWs, {
    fetch: () => new Promise<Response>(() => {}),
  });
  const { port } = harness.engine;
  const silent = await RawPeer.silent(port);
  const asking = await RawPeer.silent(port);
  await asking.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  const [stuck, accepted] = await harness.connectRaw();
  accepted.socket.send([note(1, "x".repeat(16 << 20))]);
  await until(() => harness.fetched.length === 1);
  const startedAt = performance.now();
  await harness.engine.shutdown(300);
  assert(performance.now() - startedAt < SOON_MS);
  for (const peer of [silent, asking, stuck]) {
    assert(await peer.endsWithin(SOON_MS));
    peer.vanish();
  }
  await until(() => accepted.closes.length === 1);
});
