// What strangers do to a server that faces a network, and that the `ws` engine stands it: each abuse by its name, with
// what it must not cost. The native engine can't stand the first four; it says so where it starts.
import assert from "node:assert/strict";
import { serveWs } from "../../src/sockets/ws_engine.ts";
import { makeCertificate } from "../support/certificate.ts";
import { openDescriptors, residentMegabytes } from "../support/process_usage.ts";
import { pause, until } from "../support/until.ts";
import { type Accepted, EngineHarness, note, PATH, SOON_MS } from "./engine_harness.ts";
import { clientFrame, OPCODE, RawPeer, upgradeRequest } from "./raw_peer.ts";

const LIMIT = 64 * 1_024;

function start(conduct: Parameters<typeof EngineHarness.start>[1] = {}) {
  return EngineHarness.start(serveWs, {
    ...conduct,
    limits: { maxMessageBytes: LIMIT, ...conduct.limits },
  });
}

/** Sends until the peer's connection ends or all of it was taken; returns the bytes that went out. */
async function pour(
  peer: RawPeer,
  bytes: Uint8Array,
  { upTo }: { upTo: number },
): Promise<number> {
  let sent = 0;
  try {
    for (; sent < upTo; sent += bytes.length) await peer.write(bytes);
  } catch {
    // The server has ended it.
  }
  return sent;
}

const closed = ({ closes }: Accepted) =>
  until(() => closes.length > 0, { withinMs: SOON_MS, what: "The socket's end" });

Deno.test("Endless fragments are refused with 1009 at the limit, not read on, and their peer is gone", async () => {
  await using harness = await start();
  const [peer, accepted] = await harness.connectRaw();
  const before = await residentMegabytes();
  await peer.send(OPCODE.text, "x", { fin: false });
  const fragment = clientFrame(OPCODE.continuation, new Uint8Array(60_000), { fin: false });
  const code = peer.closeCode();
  const sent = await pour(peer, fragment, { upTo: 512 << 20 });
  assert.equal(await code, 1009);
  assert(sent < 32 << 20, `${sent} bytes were taken`);
  await closed(accepted);
  assert.deepEqual(accepted.texts, []);
  assert.deepEqual(harness.crossings, ["message_bytes"]);
  const grown = await residentMegabytes() - before;
  assert(grown < 48, `memory grew by ${grown} MB`);
  peer.vanish();
  await harness.assertAlive();
});

Deno.test("One message that claims 512 MiB is refused with 1009 by its header alone", async () => {
  await using harness = await start();
  const before = await residentMegabytes();
  const peers: RawPeer[] = [];
  for (let index = 0; index < 20; index++) {
    const [peer] = await harness.connectRaw();
    peers.push(peer);
    await peer.write(new Uint8Array([0x81, 0xff, 0, 0, 0, 0, 0x20, 0, 0, 0, 1, 2, 3, 4]));
  }
  for (const peer of peers) assert.equal(await peer.closeCode(), 1009);
  for (const accepted of harness.accepted) await closed(accepted);
  assert.equal(harness.crossings.length, 20);
  assert(await residentMegabytes() - before < 32);
  for (const peer of peers) peer.vanish();
  await harness.assertAlive();
});

Deno.test("A length that no number holds is refused as well", async () => {
  await using harness = await start();
  const [peer, accepted] = await harness.connectRaw();
  await peer.write(new Uint8Array([0x81, 0xff, ...Array(8).fill(0xff), 1, 2, 3, 4]));
  assert.equal(await peer.closeCode(), 1009);
  assert.deepEqual(harness.crossings, ["message_bytes"]);
  await closed(accepted);
  peer.vanish();
});

for (const extra of [0, 1]) {
  const verdict = extra === 0 ? "is taken" : "is not";
  Deno.test(`A message of ${LIMIT + extra} bytes ${verdict}, in one piece and in fragments`, async () => {
    await using harness = await start();
    const text = "x".repeat(LIMIT + extra);
    const [whole, one] = await harness.connectRaw();
    await whole.send(OPCODE.text, text);
    const [pieces, other] = await harness.connectRaw();
    await pieces.send(OPCODE.text, text.slice(0, 1_000), { fin: false });
    await pieces.send(OPCODE.continuation, text.slice(1_000, LIMIT - 1), { fin: false });
    await pieces.send(OPCODE.continuation, text.slice(LIMIT - 1));
    if (extra === 0) {
      await until(() => one.texts.length === 1 && other.texts.length === 1);
      assert.deepEqual([one.texts, other.texts], [[text], [text]]);
    } else {
      assert.equal(await whole.closeCode(), 1009);
      assert.equal(await pieces.closeCode(), 1009);
      assert.deepEqual([one.texts, other.texts], [[], []]);
    }
    whole.vanish();
    pieces.vanish();
    await closed(one);
    await closed(other);
  });
}

Deno.test("Fragments without bytes can't go on for ever", async () => {
  await using harness = await start();
  const [peer, accepted] = await harness.connectRaw();
  await peer.send(OPCODE.text, "", { fin: false });
  const one = clientFrame(OPCODE.continuation, "", { fin: false });
  const many = new Uint8Array(one.length * 1_000);
  for (let index = 0; index < 1_000; index++) many.set(one, index * one.length);
  const code = peer.closeCode();
  await pour(peer, many, { upTo: 64 << 20 });
  assert.equal(await code, 1008);
  await closed(accepted);
  peer.vanish();
});

for (const pieces of [1_024, 1_025]) {
  const verdict = pieces === 1_024 ? "is heard" : "is closed with 1008";
  Deno.test(`A message in ${pieces} fragments of a byte ${verdict}`, async () => {
    await using harness = await start();
    const [peer, accepted] = await harness.connectRaw();
    const frames = Array.from(
      { length: pieces },
      (_, index) =>
        clientFrame(index === 0 ? OPCODE.text : OPCODE.continuation, "x", {
          fin: index === pieces - 1,
        }),
    );
    await peer.write(new Uint8Array(frames.flatMap((frame) => [...frame])));
    if (pieces === 1_024) {
      await until(() => accepted.texts.length === 1);
      assert.equal(accepted.texts[0]?.length, pieces);
    } else assert.equal(await peer.closeCode(), 1008);
    peer.vanish();
    await closed(accepted);
  });
}

Deno.test("Silent peers after a close are ended soon, and so are their descriptors", async () => {
  await using harness = await start({ opened: ({ socket }) => socket.close(4001, "No") });
  const before = await openDescriptors();
  const peers = await Promise.all(
    Array.from({ length: 50 }, () => RawPeer.upgrade(harness.engine.port, PATH)),
  );
  await until(() => harness.accepted.every(({ closes }) => closes.length === 1), {
    withinMs: SOON_MS,
    what: "The end of all",
  });
  // Theirs are still open.
  await until(async () => await openDescriptors() <= before + 52, { what: "Free descriptors" });
  for (const peer of peers) {
    assert.equal(await peer.closeCode(), 4001);
    peer.vanish();
  }
});

Deno.test("Refused clients that talk on after their close are ended soon", async () => {
  await using harness = await start({ opened: ({ socket }) => socket.close(4001, "No") });
  const peer = await RawPeer.upgrade(harness.engine.port, PATH);
  const startedAt = performance.now();
  const before = await residentMegabytes();
  await pour(peer, clientFrame(OPCODE.text, new Uint8Array(60_000)), { upTo: 2 ** 40 });
  assert(performance.now() - startedAt < SOON_MS);
  assert(await residentMegabytes() - before < 64);
  await closed(harness.accepted[0] as Accepted);
  assert.deepEqual(harness.accepted[0]?.texts, []);
  peer.vanish();
});

Deno.test("Clients refused by HTTP that don't hang up are ended soon", async () => {
  await using harness = await start({
    admit: () => ({ kind: "respond", response: new Response("No", { status: 401 }) }),
  });
  const peer = await RawPeer.request(harness.engine.port, upgradeRequest(PATH));
  assert.equal(peer.status, 401);
  assert(await peer.endsWithin(SOON_MS));
  peer.vanish();
});

Deno.test("Header-less connections are ended after the time for headers, and their descriptors are free", async () => {
  await using harness = await start({ limits: { headerTimeoutMs: 800 } });
  const { port } = harness.engine;
  const before = await openDescriptors();
  const beginnings = ["", "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: "];
  const peers = await Promise.all(Array.from({ length: 100 }, async (_, index) => {
    const peer = await RawPeer.silent(port);
    await peer.write(new TextEncoder().encode(beginnings[index % beginnings.length]));
    return peer;
  }));
  const trickle = setInterval(() => {
    for (const peer of peers) peer.write(new Uint8Array([65])).catch(() => {});
  }, 200);
  const ended = await Promise.all(peers.map((peer) => peer.endsWithin(SOON_MS)));
  clearInterval(trickle);
  assert(ended.every((isEnded) => isEnded));
  for (const peer of peers) peer.vanish();
  // Two of the four beginnings are not HTTP any more by what trickles behind them.
  const slow = harness.crossings.filter((limit) => limit === "handshake_seconds");
  assert(slow.length >= 50, `only ${slow.length} were counted`);
  await until(async () => await openDescriptors() <= before + 2, { what: "Free descriptors" });
  assert.deepEqual(harness.faults, []);
  await harness.assertAlive();
});

Deno.test("A body that never comes to its end is given up", async () => {
  await using harness = await start({
    limits: { headerTimeoutMs: 500 },
    fetch: async (request) => new Response(await request.text()),
  });
  const peer = await RawPeer.silent(harness.engine.port);
  const text = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab";
  await peer.write(new TextEncoder().encode(text));
  assert(await peer.endsWithin(SOON_MS));
  peer.vanish();
  await harness.assertAlive();
});

Deno.test("Connections that idle after a request are ended", async () => {
  await using harness = await start({ limits: { keepAliveTimeoutMs: 500 } });
  const peer = await RawPeer.request(harness.engine.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.equal(peer.status, 418);
  assert(await peer.endsWithin(SOON_MS));
  peer.vanish();
});

Deno.test("A peer that asks and never takes the answer is ended", async () => {
  await using harness = await start({
    limits: { keepAliveTimeoutMs: 2_000 },
    fetch: () => new Response("x".repeat(32 << 20)),
  });
  const before = await openDescriptors();
  const peer = await RawPeer.silent(harness.engine.port);
  await peer.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  await until(() => harness.fetched.length === 1);
  // What is left is the peer's own end.
  await until(async () => await openDescriptors() <= before + 1, {
    withinMs: SOON_MS,
    what: "A free descriptor",
  });
  peer.vanish();
});

Deno.test("A peer that piles up requests and takes no answer is ended, and few of them are answered", async () => {
  await using harness = await start({ fetch: () => new Response("x".repeat(1 << 20)) });
  const before = await residentMegabytes();
  const peer = await RawPeer.silent(harness.engine.port);
  const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  await peer.write(new TextEncoder().encode(request.repeat(500))).catch(() => {});
  assert(await peer.endsWithin(SOON_MS));
  assert(harness.fetched.length <= 4, `${harness.fetched.length} requests were taken`);
  const grown = await residentMegabytes() - before;
  assert(grown < 64, `memory grew by ${grown} MB`);
  peer.vanish();
  await harness.assertAlive();
});

Deno.test("Four requests at once are answered in order, and the connection serves on and on", async () => {
  await using harness = await start({
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      // The first is the last to be ready.
      await pause(pathname.endsWith("0") ? 20 : 0);
      return new Response(pathname);
    },
  });
  using peer = await RawPeer.silent(harness.engine.port);
  for (let round = 0; round < 5; round++) {
    const paths = [0, 1, 2, 3].map((nth) => `/${round}${nth}`);
    const requests = paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await peer.write(new TextEncoder().encode(requests.join("")));
    const text = await peer.readText(paths[3] as string);
    assert.deepEqual(text.match(/^\/\d\d/gm), paths);
  }
});

Deno.test("Connections beyond the most are turned away, and those that are open go on", async () => {
  await using harness = await start({ limits: { maxSockets: 5 } });
  const [client, accepted] = await harness.connect();
  const idle = await Promise.all(
    Array.from({ length: 4 }, () => RawPeer.silent(harness.engine.port)),
  );
  await pause(50);
  for (let index = 0; index < 20; index++) {
    const beyond = await RawPeer.silent(harness.engine.port);
    assert(await beyond.endsWithin(SOON_MS));
    beyond.vanish();
  }
  client.send("still here");
  await until(() => accepted.texts.length === 1);
  for (const peer of idle) peer.vanish();
  const isLetIn = async () => {
    const request = RawPeer.request(harness.engine.port, upgradeRequest(PATH));
    using peer = await request.catch(() => null);
    return peer?.status === 101;
  };
  await until(isLetIn, { what: "A place that is free again" });
  await harness.assertAlive();
  await client.close();
});

for (const kind of ["TCP", "TLS"]) {
  Deno.test(`Connections of one address beyond its most are turned away, counted, and room again when one ends (${kind})`, async () => {
    const made = kind === "TCP" ? null : await makeCertificate();
    let key: string | null = "one";
    await using harness = await start({
      tls: made === null ? null : { cert: made.certificate, key: made.key },
      limits: { maxSocketsOfAddress: { most: 3, keyOf: () => key } },
    });
    const { port } = harness.engine;
    const ask = async (text: string) => {
      const authority = made === null ? {} : { authority: made.authority };
      return await RawPeer.request(port, text, authority).catch(() => null);
    };
    const isLetIn = async () => {
      using peer = await ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      return peer?.status === 418;
    };
    const idle = await RawPeer.silent(port);
    using asked = await ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const upgraded = await ask(upgradeRequest(PATH));
    assert.deepEqual([asked?.status, upgraded?.status], [418, 101]);
    assert(!await isLetIn());
    assert.deepEqual(harness.crossings, ["connections_per_address"]);
    key = "another";
    assert(await isLetIn());
    key = null;
    for (let nth = 0; nth < 4; nth++) assert(await isLetIn(), "a proxy is not counted");
    key = "one";
    for (const leaver of [idle, upgraded]) {
      leaver?.vanish();
      await until(isLetIn, { what: "A place that is free again" });
    }
  });
}

Deno.test("A half-open peer, whose pongs no longer come, is gone after two rounds of pings", async () => {
  await using harness = await start({ limits: { pingIntervalMs: 400 } });
  const peers = await Promise.all(
    Array.from({ length: 45 }, () => RawPeer.upgrade(harness.engine.port, PATH)),
  );
  await until(() => harness.accepted.length === 45);
  for (const accepted of harness.accepted) await closed(accepted);
  for (const peer of peers) {
    const opcodes: number[] = [];
    for (let frame = await peer.read(); frame !== null; frame = await peer.read()) {
      opcodes.push(frame.opcode);
    }
    assert.deepEqual(opcodes, [OPCODE.ping], "pinged in one round, ended in the next");
    peer.vanish();
  }
});

Deno.test("A peer that half-closes while it reads nothing is gone after two rounds of pings", async () => {
  await using harness = await start({ limits: { pingIntervalMs: 400 } });
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: harness.engine.port });
  await connection.write(new TextEncoder().encode(upgradeRequest(PATH)));
  await until(() => harness.accepted.length === 1);
  const accepted = harness.accepted[0] as Accepted;
  const frame = note(0, "x".repeat(256 * 1_024));
  while (accepted.socket.bufferedBytes < 16 << 20) accepted.socket.send([frame]);
  await connection.closeWrite();
  await closed(accepted);
  connection.close();
});

const BROKEN: Readonly<Record<string, readonly [code: number, bytes: readonly number[]]>> = {
  "the first reserved bit": [1002, [0xc1, 0x80, 1, 2, 3, 4]],
  "the second reserved bit": [1002, [0xa1, 0x80, 1, 2, 3, 4]],
  "the third reserved bit": [1002, [0x91, 0x80, 1, 2, 3, 4]],
  "an unknown opcode": [1002, [0x83, 0x80, 1, 2, 3, 4]],
  "an unknown control opcode": [1002, [0x8b, 0x80, 1, 2, 3, 4]],
  "no mask": [1002, [0x81, 0x01, 0x41]],
  "a continuation of nothing": [1002, [0x80, 0x80, 1, 2, 3, 4]],
  "a ping in fragments": [1002, [0x09, 0x80, 1, 2, 3, 4]],
  "a ping of 126 bytes": [1002, [0x89, 0xfe, 0, 126, 1, 2, 3, 4]],
  "a message inside a message": [
    1002,
    [0x01, 0x81, 0, 0, 0, 0, 0x41, 0x81, 0x81, 0, 0, 0, 0, 0x41],
  ],
  "a close of one byte": [1002, [0x88, 0x81, 0, 0, 0, 0, 3]],
  "a close with a code of nobody": [1002, [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed]],
  "text that is not UTF-8": [1007, [0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28]],
  "a close whose reason is not UTF-8": [1007, [0x88, 0x84, 0, 0, 0, 0, 0x03, 0xe8, 0xc3, 0x28]],
};

for (const [what, [code, bytes]] of Object.entries(BROKEN)) {
  Deno.test(`A peer that sends ${what} is closed with ${code} and ended soon`, async () => {
    await using harness = await start();
    const [peer, accepted] = await harness.connectRaw();
    await peer.write(new Uint8Array(bytes));
    assert.equal(await peer.closeCode(), code);
    await closed(accepted);
    await pause(20);
    assert.equal(accepted.closes.length, 1);
    assert.deepEqual([accepted.texts, harness.faults, harness.crossings], [[], [], []]);
    peer.vanish();
    await harness.assertAlive();
  });
}

Deno.test("A flood of pings is answered by a few pongs, the newest among them", async () => {
  await using harness = await start();
  const [peer, accepted] = await harness.connectRaw();
  const frames = Array.from(
    { length: 20_000 },
    (_, index) => clientFrame(OPCODE.ping, String(index).padStart(5, "0")),
  );
  const flood = new Uint8Array(frames.length * (frames[0]?.length ?? 0));
  frames.forEach((frame, index) => flood.set(frame, index * frame.length));
  const writing = peer.write(flood);
  let pongs = 0;
  for (;;) {
    const frame = await peer.read();
    assert.equal(frame?.opcode, OPCODE.pong);
    pongs++;
    if (new TextDecoder().decode(frame.payload) === "19999") break;
  }
  await writing;
  assert(pongs < 2_000, `${pongs} pongs`);
  peer.vanish();
  await closed(accepted);
});

Deno.test("Compression is never agreed on, whatever is offered", async () => {
  await using harness = await start();
  const [peer, accepted] = await harness.connectRaw([
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-webkit-deflate-frame",
  ]);
  assert(!/sec-websocket-extensions/i.test(peer.head), peer.head);
  peer.vanish();
  await closed(accepted);
});

Deno.test("Garbage, other protocols and requests without a host are refused, and nobody hears of a fault", async () => {
  await using harness = await start();
  const garbage = [
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(100_000)}\r\n\r\n`,
    `GET ${PATH}?${"y".repeat(100_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    upgradeRequest(PATH).replace("Host: 127.0.0.1", "Bad header"),
  ];
  for (const text of garbage) {
    const peer = await RawPeer.silent(harness.engine.port);
    await peer.write(new TextEncoder().encode(text)).catch(() => {});
    assert(await peer.endsWithin(SOON_MS), text.slice(0, 40));
    peer.vanish();
  }
  assert.deepEqual(harness.faults, []);
  assert.deepEqual(harness.fetched, []);
  assert.equal(harness.accepted.length, 0);
  await harness.assertAlive();
});

Deno.test("An upgrade to anything else is answered as the request that it also is", async () => {
  await using harness = await start({
    fetch: async (request) => new Response(`${request.method} ${await request.text()}`),
  });
  const headers = "Host: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n";
  const text = `POST ${PATH} HTTP/1.1\r\n${headers}Content-Length: 5\r\n\r\nhello`;
  using peer = await RawPeer.request(harness.engine.port, text);
  assert.equal(peer.status, 200);
});

Deno.test("Requests piled up before an upgrade are answered, and the upgrade is heard", async () => {
  await using harness = await start();
  const piled = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3) + upgradeRequest(PATH);
  const peer = await RawPeer.request(harness.engine.port, piled);
  await until(() => harness.accepted.length === 1);
  assert.deepEqual(harness.fetched, Array(3).fill("GET /a"));
  peer.vanish();
  await closed(harness.accepted[0] as Accepted);
});

Deno.test("What comes right behind an upgrade is heard once it is open", async () => {
  await using harness = await start();
  const frame = clientFrame(OPCODE.text, "early");
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: harness.engine.port });
  const head = new TextEncoder().encode(upgradeRequest(PATH));
  const both = new Uint8Array(head.length + frame.length);
  both.set(head);
  both.set(frame, head.length);
  await connection.write(both);
  await until(() => harness.accepted[0]?.texts.length === 1);
  assert.deepEqual(harness.accepted[0]?.texts, ["early"]);
  connection.close();
  await closed(harness.accepted[0] as Accepted);
});

Deno.test("A peer that talks while the door decides fills no memory", async () => {
  const decided = Promise.withResolvers<void>();
  await using harness = await start({
    admit: async (_, upgrade) => {
      await decided.promise;
      return upgrade();
    },
  });
  const connection = await RawPeer.speak(harness.engine.port, upgradeRequest(PATH));
  const chunk = new Uint8Array(1 << 20);
  let sent = 0;
  const pouring = (async () => {
    while (sent < 512 << 20) sent += await connection.write(chunk);
  })().catch(() => {});
  const before = await residentMegabytes();
  await pause(500);
  assert(sent < 32 << 20, `${sent} bytes were taken`);
  assert(await residentMegabytes() - before < 48);
  connection.close();
  await pouring;
  decided.resolve();
  await until(() => harness.abandoned() + (harness.accepted[0]?.closes.length ?? 0) === 1);
});

Deno.test("Clients that leave at any moment of their upgrade are each abandoned or closed, once", async () => {
  await using harness = await start({
    admit: async (_, upgrade) => {
      await pause(Math.random() * 8);
      return upgrade();
    },
  });
  const before = await openDescriptors();
  await Promise.all(Array.from({ length: 200 }, async (_, index) => {
    const connection = await RawPeer.speak(harness.engine.port, upgradeRequest(PATH));
    await pause(index % 20);
    connection.close();
  }));
  const settled = () =>
    harness.abandoned() + harness.accepted.filter(({ closes }) => closes.length === 1).length;
  // Who comes last is accepted last: then nobody is left in the kernel's queue, and soon in nobody's else.
  await harness.assertAlive();
  await until(async () => await openDescriptors() <= before + 2, { what: "Free descriptors" });
  await until(() => settled() === harness.handshakes.length, { what: "The end of each" });
  await pause(100);
  assert.equal(settled(), harness.handshakes.length);
  assert.equal(harness.accepted.length + harness.abandoned(), harness.handshakes.length);
  assert.deepEqual(harness.faults, []);
});
