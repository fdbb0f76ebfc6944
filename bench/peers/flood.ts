// One tenant's ticks as fast as each server passes them on to 1,000 sockets of 20 devices. It must never let a peer pay
// for what feeds it.
import type { BenchOptions, Row } from "../bench.ts";
import { Child } from "../child.ts";
import type { Dialect } from "../load/dialect.ts";
import { Load } from "../load/load.ts";
import type { FollowOrder } from "../load/load_process.ts";
import { deviceName } from "../load/names.ts";
import { pause } from "../pause.ts";
import { Rounds, type Turn } from "../rounds.ts";
import { SOCKET_PATH, startService } from "../service.ts";
import { whole } from "../statistics.ts";
import { sampleOf } from "../load/samples.ts";
import { tenantTokens } from "../tokens.ts";
import type { Usage } from "../usage.ts";
import { CENTRIFUGO_PATH, type Installed, startCentrifugo } from "./centrifugo.ts";
import type { FeedOptions } from "./centrifugo_feed.ts";
import { leftOut } from "./left_out.ts";
import { type NodeWs, startNodeWs } from "./node_ws.ts";

const SOCKETS = 1_000;
const DEVICES = 20;
const TURN_MS = 1_000;
/** Longer than a held read and the rest that follows a slow one. */
const SETTLE_MS = 600;
const POLL_MS = 10;

interface Server {
  /** What sends; its processor time is what counts. */
  readonly served: { usage(): Promise<Usage> };
  /** What is told to begin and to end. */
  readonly fed: Child;
  readonly port: number;
  readonly path: string;
  readonly tokens: readonly string[];
  readonly dialect: Dialect;
  readonly follow?: FollowOrder;
}

export async function measureFlood(
  { node, centrifugo }: { readonly node: NodeWs | null; readonly centrifugo: Installed | null },
  { scale, rounds, say }: Omit<BenchOptions, "shared">,
): Promise<readonly Row[]> {
  const sockets = Math.max(10, Math.round(SOCKETS * scale));
  const follow = { devices: true, alerts: false };
  await using cleanup = new AsyncDisposableStack();
  const names = new Map([["service", "the service, ws engine"]]);
  const turns = new Map<string, () => Promise<Turn>>();
  const open = async (name: string, server: Server) => {
    const load = cleanup.use(
      new Load({
        maxSockets: sockets,
        tenants: 1,
        devicesPerSocket: DEVICES,
        devicesOfTenant: DEVICES,
        isEvery: false,
        // Node sends the same strings over and over, and a peer that is held polls what it knows.
        isAlwaysNew: name === "service",
        dialect: server.dialect,
      }),
    );
    await load.connect({ ...server, count: sockets, inFlight: 64 });
    turns.set(name, () => turnOf(server, load));
  };
  say(`opening ${sockets} sockets of each`);
  const synthetic = { devices: DEVICES, changingPercent: 100, readMs: 0, samplesPerSecond: 0 };
  const { process, port } = await startService({ synthetic, pollMs: POLL_MS, isHeld: true });
  await open("service", {
    served: cleanup.use(process),
    fed: process,
    port,
    path: SOCKET_PATH,
    tokens: await tenantTokens(1),
    dialect: "pulsewire",
    follow,
  });
  if (node !== null) {
    names.set("node", `Node ${node.version} with ws, ready strings in a loop`);
    const { process, port } = await startNodeWs(node, textsOf());
    await open("node", {
      served: cleanup.use(process),
      fed: process,
      port,
      path: "/",
      tokens: [""],
      dialect: "pulsewire",
    });
  }
  if (centrifugo !== null) {
    for (const by of ["centrifugo", "shared poll"] as const) {
      const how = by === "centrifugo" ? "fed by its batch API" : "by its shared poll";
      names.set(by, `Centrifugo ${centrifugo.version}, ${how}`);
      const feed = { by, tenants: 1, devices: DEVICES, everyMs: 0 } satisfies FeedOptions;
      const fed = cleanup.use(Child.start("peers/centrifugo_feed.ts", { args: [feed] }));
      const { port: pollPort } = await fed.ask<{ port: number }>(["port"]);
      const pollUrl = `http://127.0.0.1:${pollPort}/`;
      const served = cleanup.use(await startCentrifugo(centrifugo, { pollUrl, pollMs: POLL_MS }));
      await fed.ask(["listen", served.port]);
      const { port } = served;
      const path = CENTRIFUGO_PATH;
      await open(by, { served, fed, port, path, tokens: [""], dialect: by, follow });
    }
  }
  const compared = new Rounds("service");
  say(`${rounds + 1} rounds as fast as they go`);
  await compared.measure(turns, rounds);
  return [
    ...[...turns.keys()].map((name): Row => {
      const rate = compared.of(name, "rate", whole);
      const perCore = compared.of(name, "perCore");
      return {
        what: names.get(name) as string,
        value: `${whole(rate.median)} updates/s, ${whole(perCore.median)} a core`,
        spread: rate.spread,
        isMet: null,
      };
    }),
    ...(node === null ? [leftOut("Node with ws", "node is looked for on the path")] : []),
    ...[...turns.keys()].filter((name) => name !== "service").map((name): Row => {
      const rate = compared.ratio("rate", ["service", name]);
      const perCore = compared.ratio("perCore", ["service", name]);
      return {
        what: `the service against ${names.get(name)}`,
        value: `${perCore.median.toFixed(2)} × the updates a core (${perCore.spread})`,
        ratio: `${rate.median.toFixed(2)} ×`,
        spread: rate.spread,
        goal: "> 1 × both",
        isMet: rate.median > 1 && perCore.median > 1,
      };
    }),
  ];
}

async function turnOf(server: Server, load: Load): Promise<Turn> {
  const { served, fed } = server;
  await fed.ask(["run"]);
  await pause(SETTLE_MS);
  await load.read();
  const before = (await served.usage()).cpuSeconds;
  await pause(TURN_MS);
  const reading = await load.read();
  const cpuSeconds = (await served.usage()).cpuSeconds - before;
  await fed.ask(["hold"]);
  if (reading.fewest === 0) {
    throw new Error(`A socket of ${server.dialect} got nothing of ${reading.updates} updates`);
  }
  // What was under way must not meet the next one's turn.
  while ((await load.read()).frames > 0) await pause(50);
  return { rate: reading.updates / reading.ms * 1_000, perCore: reading.updates / cpuSeconds };
}

function textsOf(): readonly string[] {
  return Array.from({ length: DEVICES }, (_, device) =>
    JSON.stringify({
      type: "telemetry",
      device_id: deviceName(device),
      data: sampleOf({ ms: Date.now(), n: 0, device }),
    }));
}
