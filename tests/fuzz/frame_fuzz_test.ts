// Hostile handshakes and frames against each engine in a process of its own: it lives, serves others meanwhile, reports
// each socket's end once, and gets every descriptor back.
import assert from "node:assert/strict";
import { RawPeer, upgradeRequest } from "../sockets/raw_peer.ts";
import { TestClient } from "../support/client.ts";
import { pause, until } from "../support/until.ts";
import { hostileFrames, hostileHandshake } from "./hostile_bytes.ts";
import { type Random, seeded } from "./seeded.ts";
import { CAN_COUNT_DESCRIPTORS, SubjectProcess } from "./subject_process.ts";

const PEERS = 400;
const AT_ONCE = 25;
const PATH = "/ws";

interface Conduct {
  /** A peer that stays holds its connection open and says nothing more; the engine must end it. */
  readonly peersStay: boolean;
}

const ENGINES: Readonly<Record<"ws" | "deno", Conduct>> = {
  ws: { peersStay: true },
  // The runtime's own sockets can't be ended while a peer holds on.
  deno: { peersStay: false },
};

/** Says what it has to say, as far as it is heard, and returns its connection still open. */
async function attack(port: number, random: Random): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const isSound = random.chance(0.75);
  const opening = isSound
    ? [new TextEncoder().encode(upgradeRequest(PATH))]
    : hostileHandshake(random, { path: PATH });
  const said = [...opening, ...hostileFrames(random)];
  const readsAnswer = random.chance(0.8);
  try {
    for (const [index, piece] of said.entries()) {
      for (let sent = 0; sent < piece.length;) sent += await connection.write(piece.subarray(sent));
      // Frames before the answer has come are one thing to try, after it the other.
      if (isSound && index === 0 && readsAnswer) await connection.read(new Uint8Array(1_024));
    }
  } catch (error) {
    if (!isPeerGone(error)) throw error;
  }
  return connection;
}

function isPeerGone(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted;
}

/** The descriptors of an engine that has met all kinds of peers: what the runtime opens only once stays open. */
async function warmUp(
  engine: SubjectProcess,
  { port, random }: { port: number; random: Random },
): Promise<number> {
  for (let nth = 0; nth < AT_ONCE; nth++) (await attack(port, random.fork())).close();
  await (await TestClient.connect(`ws://127.0.0.1:${port}${PATH}`)).close();
  await until(async () => (await engine.connectionsOn(port)) === 0);
  // A socket whose peer is gone may be held until its time-out.
  await pause(3_500);
  return await engine.descriptors();
}

async function assertServed(client: TestClient, what: string): Promise<void> {
  const from = client.messages.length;
  client.send(what);
  await client.next(({ message }) => message === what, { from });
}

for (const name of ["ws", "deno"] as const) {
  const { peersStay } = ENGINES[name];

  Deno.test({
    name:
      `${name} engine: hostile handshakes and frames end nothing but their own socket, and every descriptor comes back`,
    ignore: !CAN_COUNT_DESCRIPTORS,
    fn: () =>
      seeded(async (random) => {
        await using engine = SubjectProcess.start({
          args: ["run", "--no-prompt", "-A", "tests/fuzz/engine_entry.ts", name],
        });
        const { port } = await engine.ask("port") as { port: number };
        const base = await warmUp(engine, { port, random: random.fork() });
        await using bystander = await TestClient.connect(`ws://127.0.0.1:${port}${PATH}`);

        const peers: Deno.TcpConn[] = [];
        try {
          for (let round = 0; round < PEERS / AT_ONCE; round++) {
            const randoms = Array.from({ length: AT_ONCE }, () => random.fork());
            peers.push(...await Promise.all(randoms.map((random) => attack(port, random))));
            await assertServed(bystander, `round ${round}`);
            assert(!engine.hasEnded, engine.said.slice(-20).join("\n"));
            if (!peersStay) { for (const peer of peers.splice(0)) peer.close(); }
          }
          await until(async () => (await engine.connectionsOn(port)) <= 1, {
            what: "The end of all hostile connections",
          });
          await until(async () => (await engine.descriptors()) <= base + 1, {
            what: "The return of all descriptors",
          });
        } finally {
          for (const peer of peers) peer.close();
        }

        await assertServed(bystander, "still here");
        await bystander.close();
        const settled = async () => {
          const { opened, closed, admitted, abandoned } = await engine.ask("counts");
          return closed === opened && admitted === opened! + abandoned!;
        };
        await until(settled, { what: "One end for each socket that was let in" });
        const counts = await engine.ask("counts");
        assert.equal(counts.closedTwice, 0, "a socket's end was reported twice");
        assert.equal(counts.uncaught, 0, engine.said.join("\n"));
        assert.equal(counts.faults, 0, engine.said.join("\n"));
        if (name === "ws") assert.equal(counts.tooLong, 0, "a message over the limit got through");
        assert(counts.opened! > PEERS / 2, `only ${counts.opened} sockets opened`);
        await until(async () => (await engine.descriptors()) <= base, {
          what: "The return of the last descriptor",
        });
      }),
  });
}

/** Requests of which neither a URL nor an address can be made, or that no route knows what to do with. */
const NONSENSE = [
  "GET /x HTTP/1.1\r\nHost: a b, x\r\n\r\n",
  "GET /ws HTTP/1.1\r\n\r\n",
  "GET /ws HTTP/1.1\r\nHost:\r\n\r\n",
  "GET //[ HTTP/1.1\r\nHost: x\r\n\r\n",
  "GET http://[/ HTTP/1.1\r\nHost: x\r\n\r\n",
  "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
  "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
  "GET /x HTTP/1.1\r\nHost: x\r\nExpect: y\r\n\r\n",
  "POST /x HTTP/1.1\r\nHost: x/y?z@\r\nContent-Length: 3\r\n\r\nabc",
  "GET /x HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
];

for (const name of ["ws", "deno"] as const) {
  Deno.test(`${name} engine: a request with a Host or target that is none is the client's fault, never ours`, async () => {
    await using engine = SubjectProcess.start({
      args: ["run", "--no-prompt", "-A", "tests/fuzz/engine_entry.ts", name],
    });
    const { port } = await engine.ask("port") as { port: number };
    for (const request of NONSENSE) {
      using peer = await RawPeer.request(port, request);
      assert(peer.head === "" || (peer.status >= 400 && peer.status < 500), peer.head);
    }
    const { faults, uncaught } = await engine.ask("counts");
    assert.deepEqual({ faults, uncaught }, { faults: 0, uncaught: 0 }, engine.said.join("\n"));
  });
}
