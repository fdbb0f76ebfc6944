// Those who want the service down or another tenant's data, each kind a function that makes one attempt. Whatever they
// are told is counted; what they must never be told is a breach.
import { hostileFrames, hostileHandshake } from "../fuzz/hostile_bytes.ts";
import type { Random } from "../fuzz/seeded.ts";
import { RawPeer, upgradeRequest } from "../sockets/raw_peer.ts";
import { secretSigner, signToken } from "../support/tokens.ts";
import { pause } from "../support/until.ts";
import { DEVICES, HEAVY, privateDevice, TENANTS, tokenOf } from "./fleet.ts";
import type { StressLedger } from "./ledger.ts";
import { openSocket } from "../support/open_socket.ts";

export interface Attack {
  readonly port: number;
  readonly random: Random;
  readonly ledger: StressLedger;
  readonly client: Deno.HttpClient;
  readonly signal: AbortSignal;
}

type Adversary = (attack: Attack) => Promise<void>;

const PATH = "/api/v2/ws";
const HOLD_MS = 6_000;

export const ADVERSARIES: Readonly<Record<string, Adversary>> = {
  async "raw garbage"({ port, random, signal }) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    using _ = closing(connection);
    for (const piece of hostileHandshake(random, { path: PATH })) await connection.write(piece);
    await hold(signal, random.integer(0, HOLD_MS));
  },

  async "hostile frames"({ port, random, signal }) {
    const peer = await authenticated(port, random);
    using _ = peer;
    for (const piece of hostileFrames(random)) await peer.write(piece);
    await hold(signal, random.integer(0, HOLD_MS));
  },

  async "half a handshake"({ port, random, signal }) {
    const request = upgradeRequest(`${PATH}?token=${await tokenOf(random.pick(TENANTS))}`);
    const connection = await RawPeer.speak(
      port,
      request.slice(0, random.integer(0, request.length)),
    );
    using _ = closing(connection);
    await hold(signal, HOLD_MS);
  },

  async "upgrade and vanish"({ port, random }) {
    const request = upgradeRequest(`${PATH}?token=${await tokenOf(random.pick(TENANTS))}`);
    using _ = closing(await RawPeer.speak(port, request));
  },

  async "stuck reader"({ port, random, signal }) {
    using peer = await authenticated(port, random, HEAVY.tenantId);
    // Following a device again brings its value again: some megabytes, which it never reads.
    const again = JSON.stringify({
      action: "subscribe",
      type: "device",
      device_id: HEAVY.deviceId,
    });
    for (let nth = 0; nth < 400 && !signal.aborted; nth++) {
      await peer.send(1, again);
      // One push for each: those that arrive together are served together.
      await pause(5);
    }
    await hold(signal, 2 * HOLD_MS);
  },

  async "slow reader"({ port, random, signal }) {
    using peer = await authenticated(port, random);
    await followAll(peer);
    for (let nth = 0; nth < 20 && !signal.aborted; nth++) {
      await peer.read();
      await pause(300);
    }
  },

  async "flood of messages"({ port, random, ledger }) {
    const socket = await open(port, await tokenOf(random.pick(TENANTS), { user: "flooder" }));
    const closed = closeOf(socket, 10_000);
    for (let nth = 0; nth < 2_000 && socket.readyState === WebSocket.OPEN; nth++) {
      socket.send(random.pick(["", "{}", '{"action":"ping"}', "[[[", '{"action":"hello"}']));
    }
    const code = await closed;
    if (code !== 1008) ledger.breach("A flood was not ended with 1008", String(code));
  },

  async "flood of subscriptions"({ port, random, ledger }) {
    const socket = await open(port, await tokenOf(random.pick(TENANTS), { user: "hoarder" }));
    const closed = closeOf(socket, 10_000);
    for (let nth = 0; nth < 450 && socket.readyState === WebSocket.OPEN; nth++) {
      socket.send(JSON.stringify({ action: "subscribe", type: "device", device_id: `no-${nth}` }));
    }
    const code = await closed;
    if (code !== 1008) ledger.breach("A hoarder was not ended with 1008", String(code));
  },

  async "oversize message"({ port, random, ledger }) {
    const socket = await open(port, await tokenOf(random.pick(TENANTS)));
    const closed = closeOf(socket, 10_000);
    socket.send("x".repeat(random.integer(65_537, 1_000_000)));
    const code = await closed;
    // A reset may overtake the close frame.
    if (code !== 1009 && code !== 1006) {
      ledger.breach("An oversize message was not ended with 1009", String(code));
    }
  },

  async "fragments without end"({ port, random, signal }) {
    using peer = await authenticated(port, random);
    for (let nth = 0; nth < 200 && !signal.aborted; nth++) {
      await peer.send(nth === 0 ? 1 : 0, new Uint8Array(16_384), { fin: false });
    }
    await hold(signal, 1_000);
  },

  async "wrong token"({ port, random, ledger }) {
    const now = Math.floor(Date.now() / 1_000);
    const token = await random.pick([
      () => signToken({}, { signer: secretSigner("another-secret-".repeat(4)) }),
      () => signToken({ exp: now - 60 }),
      () => signToken({ role: "guest" }),
      () => signToken({ tenant_id: "../tenant-1" }),
      () => signToken({ tenant_id: ["tenant-1"] }),
      async () => (await signToken()).slice(0, -5),
      () => Promise.resolve(""),
    ])();
    const socket = await open(port, token);
    const code = await closeOf(socket, 10_000);
    // Beyond MAX_REFUSED_SOCKETS it is refused by HTTP, which is 1006 here.
    if (![4001, 4003, 1006].includes(code)) {
      ledger.breach("A wrong token was not refused", `${code}: ${token}`);
    }
    ledger.count(`wrong tokens refused ${code}`);
  },

  async "other tenants' devices"({ port, random, ledger }) {
    const [own, other] = twoTenants(random);
    const socket = await open(port, await tokenOf(own, { user: "spy" }));
    const ids = [
      privateDevice(other),
      `${other}/dev-0`,
      `' OR '1'='1`,
      `x' OR device_id =~ /.*/ OR device_id = 'x`,
      "../" + other,
    ];
    socket.onmessage = ({ data }) => {
      const { type } = JSON.parse(data);
      if (type === "telemetry") ledger.breach("A spy saw another tenant's device", data);
    };
    for (const device_id of ids) {
      socket.send(JSON.stringify({ action: "subscribe", type: "device", device_id }));
    }
    await pause(3_000);
    socket.close();
    await closeOf(socket, 10_000);
  },

  async "another tenant's token on an open socket"({ port, random, ledger }) {
    const [own, other] = twoTenants(random);
    const socket = await open(port, await tokenOf(own, { user: "spy" }));
    const closed = closeOf(socket, 10_000);
    socket.send(
      JSON.stringify({ action: "auth", token: await tokenOf(other, { user: "spy" }) }),
    );
    const code = await closed;
    if (code !== 4003) ledger.breach("Another tenant's token was not refused", String(code));
  },

  async "replayed ticket"({ port, random, ledger, client }) {
    const response = await fetch(`http://127.0.0.1:${port}/api/v2/ws-ticket`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${await tokenOf(random.pick(TENANTS), { user: "replayer" })}`,
        "x-forwarded-for": addressOf(random),
      },
      client,
    });
    const body = await response.text();
    if (response.status !== 200) {
      ledger.count(`tickets refused ${response.status}`);
      return;
    }
    const { ticket } = JSON.parse(body);
    const outcomes = await Promise.all(
      [0, 1, 2].map(async () => {
        const socket = openSocket(`ws://127.0.0.1:${port}${PATH}?ticket=${ticket}`, {
          headers: { "x-forwarded-for": addressOf(random) },
        });
        socket.onerror = (event) => event.preventDefault();
        socket.onopen = () => socket.send('{"action":"ping"}');
        // Only one that was let in is answered.
        return await new Promise<number>((resolve) => {
          socket.onmessage = ({ data }) => {
            if (JSON.parse(data).type !== "pong") return;
            socket.close();
            resolve(1);
          };
          socket.onclose = () => resolve(0);
        });
      }),
    );
    const lets = outcomes.reduce((sum, one) => sum + one, 0);
    if (lets > 1) ledger.breach("A ticket was worth more than one socket", String(lets));
    ledger.count("tickets spent", lets);
  },
};

/** One attempt after the other until the signal; a connection that the service ended is what it should do. */
export async function attackUntil(
  name: string,
  { pauseMs, ...attack }: Attack & { pauseMs: number },
): Promise<void> {
  const { signal, ledger, random } = attack;
  while (!signal.aborted) {
    try {
      await ADVERSARIES[name]!(attack);
      ledger.count(`attacks: ${name}`);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      ledger.count(`attacks cut short: ${name}`);
    }
    await pause(random.integer(0, 2 * pauseMs));
  }
}

/** What a peer sees that is refused or thrown out in the middle of a word. */
function isRefusal(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted || error instanceof Refused ||
    error instanceof Deno.errors.ConnectionRefused;
}

class Refused extends Error {}

async function authenticated(
  port: number,
  random: Random,
  tenantId = random.pick(TENANTS),
): Promise<RawPeer> {
  const token = await tokenOf(tenantId, { user: `raw-${random.integer(0, 9)}` });
  const peer = await RawPeer.request(
    port,
    upgradeRequest(`${PATH}?token=${token}`, {
      headers: [`X-Forwarded-For: ${addressOf(random)}`],
    }),
  );
  if (peer.status === 101) return peer;
  peer.vanish();
  throw new Refused(`Refused with ${peer.status}`);
}

async function open(port: number, token: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${PATH}?token=${token}`);
  socket.onerror = (event) => event.preventDefault();
  await new Promise<void>((resolve) => {
    socket.addEventListener("open", () => resolve());
    socket.addEventListener("close", ({ code }) => {
      closeCodes.set(socket, code);
      resolve();
    });
  });
  return socket;
}

/** What sockets were closed with before anybody asked. */
const closeCodes = new WeakMap<WebSocket, number>();

/** The close code, or 0 when none comes in time. */
function closeOf(socket: WebSocket, withinMs: number): Promise<number> {
  const before = closeCodes.get(socket);
  if (before !== undefined) return Promise.resolve(before);
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      socket.close();
      resolve(0);
    }, withinMs);
    socket.addEventListener("close", ({ code }) => {
      clearTimeout(timer);
      resolve(code);
    });
  });
}

async function followAll(peer: RawPeer): Promise<void> {
  for (const device_id of DEVICES) {
    await peer.send(1, JSON.stringify({ action: "subscribe", type: "device", device_id }));
  }
}

function twoTenants(random: Random): readonly [string, string] {
  const at = random.integer(0, TENANTS.length - 1);
  return [TENANTS[at]!, TENANTS[(at + random.integer(1, TENANTS.length - 1)) % TENANTS.length]!];
}

function addressOf(random: Random): string {
  return `10.66.${random.integer(0, 255)}.${random.integer(1, 254)}`;
}

async function hold(signal: AbortSignal, ms: number): Promise<void> {
  for (let waited = 0; waited < ms && !signal.aborted; waited += 100) await pause(100);
}

function closing(connection: Deno.Conn): Disposable {
  return { [Symbol.dispose]: () => connection.close() };
}
