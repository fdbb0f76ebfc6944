// The contract of the socket port, told on a real server with real clients; every engine runs it as it stands.
import assert from "node:assert/strict";
import { TestClient } from "../support/client.ts";
import { pause, until } from "../support/until.ts";
import {
  type Accepted,
  EngineHarness,
  note,
  PATH,
  ROOMY,
  type ServeEngine,
  SOON_MS,
} from "./engine_harness.ts";
import { OPCODE, RawPeer, upgradeRequest } from "./raw_peer.ts";

export interface EngineTraits {
  /** The engine's runtime keeps the descriptor of a client that has gone before its upgrade was answered. */
  readonly keepsAbandoned?: boolean;
}

export function engineSuite(
  name: string,
  serve: ServeEngine,
  { keepsAbandoned = false }: EngineTraits = {},
): void {
  const test = (
    behaviour: string,
    fn: () => Promise<void>,
    options: Pick<Deno.TestDefinition, "sanitizeOps" | "sanitizeResources"> = {},
  ) => Deno.test({ name: `${name} engine: ${behaviour}`, fn, ...options });

  test("text goes both ways in order, whatever letters it has", async () => {
    await using harness = await EngineHarness.start(serve);
    const [client, accepted] = await harness.connect();
    const texts = Array.from(
      { length: 200 },
      (_, index) => `${index} ä€😀 ${"x".repeat(index * 20)}`,
    );
    for (const text of texts) client.send(text);
    await until(() => accepted.texts.length === texts.length);
    assert.deepEqual(accepted.texts, texts);
    accepted.socket.send(texts.slice(0, 50).map((text, index) => note(index, text)));
    for (let index = 50; index < 200; index++) accepted.socket.send([note(index, texts[index])]);
    await until(() => client.messages.length === 200);
    assert.deepEqual(
      client.messages.map(({ message }) => message),
      texts.map((text, index) => `${index}${text}`),
    );
    await client.close();
  });

  test("a frame that many sockets are sent is one encoding", async () => {
    await using harness = await EngineHarness.start(serve);
    const [one] = await harness.connect();
    const [other] = await harness.connect();
    const frame = note(1);
    for (const { socket } of harness.accepted) socket.send([frame, frame]);
    await until(() => one.texts.length === 2 && other.texts.length === 2);
    assert.equal(typeof frame.text, "string");
    assert.deepEqual([...one.texts, ...other.texts], Array(4).fill(frame.text));
    await one.close();
    await other.close();
  });

  test("an empty list of frames sends nothing", async () => {
    await using harness = await EngineHarness.start(serve);
    const [client, { socket }] = await harness.connect();
    socket.send([]);
    socket.send([note(1)]);
    await client.next(() => true);
    assert.equal(client.texts.length, 1);
    await client.close();
  });

  test("a binary message is reported as such and the socket goes on", async () => {
    await using harness = await EngineHarness.start(serve);
    const [client, accepted] = await harness.connect();
    client.raw.send(new Uint8Array([123, 125]));
    client.raw.send(new Uint8Array());
    client.send("after");
    await until(() => accepted.texts.length === 1);
    assert.equal(accepted.binaries, 2);
    assert.deepEqual(accepted.texts, ["after"]);
    await client.close();
  });

  test("a message in fragments arrives whole", async () => {
    await using harness = await EngineHarness.start(serve);
    const [peer, accepted] = await harness.connectRaw();
    await peer.send(OPCODE.text, "one ", { fin: false });
    await peer.send(OPCODE.ping, "in between");
    await peer.send(OPCODE.continuation, "two ", { fin: false });
    await peer.send(OPCODE.continuation, "three");
    await until(() => accepted.texts.length === 1);
    assert.deepEqual(accepted.texts, ["one two three"]);
    const pong = await peer.read();
    assert.equal(pong?.opcode, OPCODE.pong);
    assert.equal(new TextDecoder().decode(pong.payload), "in between");
    peer.vanish();
    await until(() => accepted.closes.length === 1);
  });

  test("a close in `opened` reaches the client with code and reason", async () => {
    await using harness = await EngineHarness.start(serve, {
      opened: ({ socket }) => socket.close(4001, "Ungültig: ".padEnd(122, "x")),
    });
    const client = await TestClient.connect(harness.url);
    assert.deepEqual(await client.closed, { code: 4001, reason: "Ungültig: ".padEnd(122, "x") });
    await until(() => harness.accepted[0]?.closes.length === 1);
    await assertClosedOnce(harness.accepted[0] as Accepted);
  });

  test("what was sent before a close arrives before it", async () => {
    await using harness = await EngineHarness.start(serve);
    const [client, { socket }] = await harness.connect();
    socket.send(Array.from({ length: 100 }, (_, index) => note(index, "x".repeat(1_000))));
    socket.close(1012, "Restarting");
    assert.deepEqual(await client.closed, { code: 1012, reason: "Restarting" });
    assert.equal(client.texts.length, 100);
  });

  test("`closed` is called once when the client closes", async () => {
    await using harness = await EngineHarness.start(serve);
    const [client, accepted] = await harness.connect();
    client.raw.close(4321, "done");
    await client.closed;
    await until(() => accepted.closes.length > 0);
    assert.deepEqual(accepted.closes, [4321]);
    await assertClosedOnce(accepted);
  });

  test("`closed` is called once when the client is lost", async () => {
    await using harness = await EngineHarness.start(serve);
    const [peer, accepted] = await harness.connectRaw();
    peer.vanish();
    await until(() => accepted.closes.length > 0);
    await assertClosedOnce(accepted);
    assert.deepEqual(harness.faults, []);
  });

  test("`closed` is called once when the client is lost while it is being sent to", async () => {
    await using harness = await EngineHarness.start(serve);
    const [peer, accepted] = await harness.connectRaw();
    fill(accepted);
    peer.vanish();
    await until(() => accepted.closes.length > 0);
    accepted.socket.send([note(1)]);
    await assertClosedOnce(accepted);
    assert.deepEqual(harness.faults, []);
  });

  test("`closed` is called once when the server closes", async () => {
    await using harness = await EngineHarness.start(serve);
    const [client, accepted] = await harness.connect();
    accepted.socket.close(4003, "Unauthorized");
    accepted.socket.close(1011, "a later one does nothing");
    assert.deepEqual(await client.closed, { code: 4003, reason: "Unauthorized" });
    await until(() => accepted.closes.length > 0);
    await assertClosedOnce(accepted);
  });

  test("`closed` is called once when both close at the same time", async () => {
    await using harness = await EngineHarness.start(serve);
    const [client, accepted] = await harness.connect();
    client.raw.close(1000);
    accepted.socket.close(1012, "Restarting");
    await client.closed;
    await until(() => accepted.closes.length > 0);
    await assertClosedOnce(accepted);
  });

  test("`closed` is called once when the server terminates", async () => {
    await using harness = await EngineHarness.start(serve);
    const [client, accepted] = await harness.connect();
    accepted.socket.terminate();
    accepted.socket.terminate();
    await client.closed;
    await until(() => accepted.closes.length > 0);
    await assertClosedOnce(accepted);
  });

  test("`closed` is called once when the client breaks the protocol", async () => {
    await using harness = await EngineHarness.start(serve);
    const [peer, accepted] = await harness.connectRaw();
    // Reserved bits, an opcode nobody knows, and no mask.
    await peer.write(new Uint8Array([0xf3, 0x05, 1, 2, 3, 4, 5]));
    await until(() => accepted.closes.length > 0);
    await assertClosedOnce(accepted);
    assert.deepEqual(accepted.texts, []);
    peer.vanish();
    await harness.assertAlive();
  });

  test("text that is not UTF-8 never arrives and ends the socket", async () => {
    await using harness = await EngineHarness.start(serve);
    const [peer, accepted] = await harness.connectRaw();
    await peer.send(OPCODE.text, new Uint8Array([0xc3, 0x28, 0xff]));
    await until(() => accepted.closes.length > 0);
    await assertClosedOnce(accepted);
    assert.deepEqual(accepted.texts, []);
    peer.vanish();
    await harness.assertAlive();
  });

  test("nothing that is done to a socket after its close does harm", async () => {
    await using harness = await EngineHarness.start(serve);
    const [client, accepted] = await harness.connect();
    const { socket } = accepted;
    socket.close(1000, "");
    socket.send([note(1), note(2)]);
    await client.closed;
    await until(() => accepted.closes.length > 0);
    socket.send([note(3)]);
    socket.close(1000, "");
    socket.terminate();
    assert.equal(socket.bufferedBytes, 0);
    assert.deepEqual(client.texts, []);
    await assertClosedOnce(accepted);
    assert.deepEqual(harness.faults, []);
  });

  test("`bufferedBytes` rises while the peer does not read, and is 0 again once it has", async () => {
    await using harness = await EngineHarness.start(serve);
    const [peer, accepted] = await harness.connectRaw();
    assert.equal(accepted.socket.bufferedBytes, 0);
    fill(accepted);
    const before = accepted.socket.bufferedBytes;
    accepted.socket.send([note(1, "x".repeat(100_000))]);
    const grown = accepted.socket.bufferedBytes - before;
    assert(grown >= 100_000 && grown < 101_000, `it grew by ${grown}`);
    await pause(50);
    assert(accepted.socket.bufferedBytes > 1 << 20);
    await peer.drain(() => accepted.socket.bufferedBytes === 0);
    assert.equal(accepted.socket.bufferedBytes, 0);
    peer.vanish();
    await until(() => accepted.closes.length === 1);
  });

  for (const handler of ["opened", "text", "binary", "closed"] as const) {
    test(`an exception in \`${handler}\` is told, and ends that socket alone`, async () => {
      await using harness = await EngineHarness.start(serve);
      const [bystander, other] = await harness.connect();
      harness.conduct[handler] = () => {
        throw new Error(`broken ${handler}`);
      };
      const client = await TestClient.connect(harness.url);
      if (handler === "text") client.send("hello");
      if (handler === "binary") client.raw.send(new Uint8Array([1]));
      if (handler === "closed") client.raw.close(1000);
      const { code, reason } = await client.closed;
      if (handler !== "closed") assert.deepEqual([code, reason], [1011, "Internal error"]);
      await until(() => harness.faults.length > 0);
      assert.equal(harness.faults.length, 1);
      // What the door counted for it must come back.
      if (handler === "opened") await until(() => harness.abandoned() === 1);
      assert.equal((harness.faults[0]?.error as Error).message, `broken ${handler}`);
      harness.conduct[handler] = () => {};
      bystander.send("still here");
      await until(() => other.texts.length === 1);
      await harness.assertAlive();
      await bystander.close();
    });
  }

  test("a door that fails is told, the client gets 500 and the server lives", async () => {
    await using harness = await EngineHarness.start(serve, {
      admit: () => {
        throw new Error("broken door");
      },
    });
    using peer = await RawPeer.request(harness.engine.port, upgradeRequest(PATH));
    assert.equal(peer.status, 500);
    assert.equal((harness.faults[0]?.error as Error).message, "broken door");
    harness.conduct.admit = (_, upgrade) => upgrade();
    await harness.assertAlive();
  });

  test("a door that answers by HTTP is heard", async () => {
    await using harness = await EngineHarness.start(serve, {
      admit: () => ({
        kind: "respond",
        response: new Response("Later\n", { status: 503, headers: { "retry-after": "5" } }),
      }),
    });
    using peer = await RawPeer.request(harness.engine.port, upgradeRequest(PATH));
    assert.equal(peer.status, 503);
    assert.match(peer.head, /retry-after: 5/i);
    assert.equal(harness.accepted.length, 0);
  });

  test("what is no upgrade of the sockets' path goes to `fetch`", async () => {
    await using harness = await EngineHarness.start(serve);
    const requests = [["GET", PATH], ["GET", "/"], ["POST", `${PATH}/more`], ["DELETE", "/x"]];
    for (const [method = "", path = ""] of requests) {
      const response = await fetch(harness.origin + path, { method });
      assert.equal(response.status, 418);
      assert.equal(await response.text(), `fetched ${path}`);
    }
    using peer = await RawPeer.request(harness.engine.port, upgradeRequest("/elsewhere"));
    assert.equal(peer.status, 418);
    assert.deepEqual(harness.fetched, [
      ...requests.map((words) => words.join(" ")),
      "GET /elsewhere",
    ]);
    assert.equal(harness.handshakes.length, 0);
  });

  test("malformed upgrades get an HTTP error, are not asked for a token, and the server lives", async () => {
    await using harness = await EngineHarness.start(serve);
    const malformed = {
      "no key": upgradeRequest(PATH, { without: ["Sec-WebSocket-Key"] }),
      "no version": upgradeRequest(PATH, { without: ["Sec-WebSocket-Version"] }),
      "no connection": upgradeRequest(PATH, { without: ["Connection"] }),
      "old version": upgradeRequest(PATH, {
        without: ["Sec-WebSocket-Version"],
        headers: ["Sec-WebSocket-Version: 8"],
      }),
      "bad key": upgradeRequest(PATH, {
        without: ["Sec-WebSocket-Key"],
        headers: ["Sec-WebSocket-Key: short"],
      }),
      "POST": upgradeRequest(PATH, { method: "POST", headers: ["Content-Length: 0"] }),
    };
    for (const [fault, text] of Object.entries(malformed)) {
      using peer = await RawPeer.request(harness.engine.port, text);
      assert(peer.status >= 400 && peer.status < 500, `${fault}: ${peer.head}`);
    }
    assert.equal(harness.accepted.length, 0);
    assert.equal(harness.handshakes.length, 0);
    assert.deepEqual(harness.faults, []);
    await harness.assertAlive();
  });

  test("an upgrade may be written in any letters and offer more than one protocol", async () => {
    await using harness = await EngineHarness.start(serve);
    const [peer, accepted] = await harness.connectRaw();
    peer.vanish();
    await until(() => accepted.closes.length === 1);
    using loud = await RawPeer.request(
      harness.engine.port,
      upgradeRequest(PATH, {
        without: ["Upgrade", "Connection"],
        headers: ["UPGRADE: WebSocket", "CONNECTION: keep-alive, UPGRADE"],
      }),
    );
    assert.equal(loud.status, 101);
    await until(() => harness.accepted.length === 2);
    loud.vanish();
    await until(() => harness.accepted[1]?.closes.length === 1);
  });

  test("the selected subprotocol is answered, with and without a space after the comma", async () => {
    await using harness = await EngineHarness.start(serve, { protocol: "pulsewire" });
    for (
      const offered of ["pulsewire, bearer.abc", "pulsewire,bearer.abc", "bearer.abc ,pulsewire"]
    ) {
      const [peer, accepted] = await harness.connectRaw([`Sec-WebSocket-Protocol: ${offered}`]);
      assert.match(peer.head, /\r\nsec-websocket-protocol: pulsewire(\r\n|$)/i);
      peer.vanish();
      await until(() => accepted.closes.length === 1);
    }
    const [client] = await harness.connect(["pulsewire", "bearer.abc"]);
    assert.equal(client.raw.protocol, "pulsewire");
    await client.close();
  });

  test("no subprotocol is answered where none was selected", async () => {
    await using harness = await EngineHarness.start(serve);
    const [peer, accepted] = await harness.connectRaw(["Sec-WebSocket-Protocol: other"]);
    assert(!/sec-websocket-protocol/i.test(peer.head), peer.head);
    peer.vanish();
    await until(() => accepted.closes.length === 1);
  });

  test("the door is shown address, headers and query, and may look at them until it decides", async () => {
    const looked = Promise.withResolvers<
      { readonly thing: string | null; readonly search: string }
    >();
    await using harness = await EngineHarness.start(serve, {
      admit: async ({ headers, search }, upgrade) => {
        await pause(20);
        looked.resolve({ thing: headers.get("X-Thing"), search });
        return upgrade();
      },
    });
    const port = harness.engine.port;
    using peer = await RawPeer.upgrade(port, `${PATH}?token=a%2Eb&token=c`, ["X-Thing: yes"]);
    await until(() => harness.accepted.length === 1);
    assert.equal(harness.handshakes[0]?.address, "127.0.0.1");
    const { thing, search } = await looked.promise;
    assert.equal(thing, "yes");
    assert.deepEqual(new URLSearchParams(search).getAll("token"), ["a.b", "c"]);
    peer.vanish();
    await until(() => harness.accepted[0]?.closes.length === 1);
  });

  test(
    "a client that disappears while the door decides is abandoned or closed, never forgotten",
    async () => {
      const decided = Promise.withResolvers<void>();
      await using harness = await EngineHarness.start(serve, {
        admit: async (_, upgrade) => {
          await decided.promise;
          return upgrade();
        },
      });
      const connections: Deno.Conn[] = [];
      for (let index = 0; index < 5; index++) {
        connections.push(await RawPeer.speak(harness.engine.port, upgradeRequest(PATH)));
      }
      await until(() => harness.handshakes.length === 5);
      for (const connection of connections) connection.close();
      await pause(50);
      decided.resolve();
      const settled = () =>
        harness.abandoned() + harness.accepted.filter(({ closes }) => closes.length === 1).length;
      await until(() => settled() === 5, { what: "The end of all five" });
      await pause(50);
      assert.equal(settled(), 5);
      assert.equal(harness.accepted.length + harness.abandoned(), 5);
      assert.deepEqual(harness.faults, []);
      await harness.assertAlive();
    },
    { sanitizeOps: !keepsAbandoned, sanitizeResources: !keepsAbandoned },
  );

  test("an idle peer is pinged and stays while it answers; a silent one is closed", async () => {
    await using harness = await EngineHarness.start(serve, { limits: { pingIntervalMs: 500 } });
    const [silent, lost] = await harness.connectRaw();
    const [client, kept] = await harness.connect();
    const ping = await silent.read();
    assert.equal(ping?.opcode, OPCODE.ping);
    await until(() => lost.closes.length > 0, { what: "The close of the silent peer" });
    await assertClosedOnce(lost);
    await pause(1_200);
    assert.deepEqual(kept.closes, []);
    client.send("alive");
    await until(() => kept.texts.length === 1);
    silent.vanish();
    await client.close();
  });

  test("shutdown stops listening and resolves within its grace with a stuck peer", async () => {
    const harness = await EngineHarness.start(serve);
    const [peer, accepted] = await harness.connectRaw();
    fill(accepted);
    const startedAt = performance.now();
    await harness.engine.shutdown(300);
    assert(performance.now() - startedAt < SOON_MS);
    await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port: harness.engine.port }));
    peer.vanish();
    await until(() => accepted.closes.length > 0);
    await assertClosedOnce(accepted);
  });

  test("shutdown ends at once where nobody holds it up", async () => {
    const harness = await EngineHarness.start(serve);
    const [client, accepted] = await harness.connect();
    const startedAt = performance.now();
    await harness.engine.shutdown(60_000);
    assert(performance.now() - startedAt < SOON_MS);
    await client.closed;
    await until(() => accepted.closes.length > 0);
    await assertClosedOnce(accepted);
  });

  test("a port that is taken is an error of the one who wanted it", async () => {
    await using harness = await EngineHarness.start(serve);
    const { hostname, port } = harness.engine;
    assert.equal(hostname, "127.0.0.1");
    await assert.rejects(
      async () =>
        await serve({
          ...{ hostname, port, path: PATH, limits: ROOMY, tls: null },
          fetch: () => new Response(),
          admit: () => Promise.reject(new Error("nobody comes here")),
          crossed: () => {},
          failed: () => {},
        }),
      Deno.errors.AddrInUse,
    );
  });
}

/** Sends until far more waits than the kernel would take. */
function fill({ socket }: Accepted): void {
  const frame = note(0, "x".repeat(256 * 1_024));
  for (let sent = 0; socket.bufferedBytes < 24 << 20; sent++) {
    assert(sent < 400, "100 MiB went nowhere");
    socket.send([frame]);
  }
}

async function assertClosedOnce({ closes }: Accepted): Promise<void> {
  await pause(60);
  assert.equal(closes.length, 1, `closed ${closes.length} times: ${closes}`);
}
