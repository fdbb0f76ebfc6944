// The same fan-out by what people would pick instead, where it is installed: Node with ws, which sends each socket each
// string. It must compare with nothing that does not run in the same rounds.
import type { Bench, Row } from "../bench.ts";
import { Child } from "../child.ts";
import { Load } from "../load/load.ts";
import type { FollowOrder } from "../load/load_process.ts";
import { pause } from "../pause.ts";
import { Rounds, type Turn } from "../rounds.ts";
import { SOCKET_PATH, startService, type Subject } from "../service.ts";
import { whole } from "../statistics.ts";
import { deviceName } from "../load/device_name.ts";
import { sampleOf } from "../subjects/synthetic_sources.ts";
import { tenantTokens } from "../tokens.ts";

const SOCKETS = 1_000;
const DEVICES = 20;
const TURN_MS = 1_500;
const SETTLE_MS = 700;

export const peers: Bench = {
  name: "peers",
  work:
    "The work of `fanout` by Node with npm:ws, which only sends ready strings in a loop, against the service with all " +
    "that it does (subscriptions, one encoding a device and tick, corked frames)",
  async run({ scale, rounds, say }) {
    const node = await findNode();
    if (node === null) {
      return [{ what: "Node with ws", value: "left out: node is not installed", isMet: null }];
    }
    const sockets = Math.max(10, Math.round(SOCKETS * scale));
    await using cleanup = new AsyncDisposableStack();
    const synthetic = {
      devices: DEVICES,
      changingPercent: 100,
      readMs: 0,
      samplesPerSecond: 0,
    };
    const open = async (
      { process, port }: Subject,
      { path, tokens, follow }: {
        readonly path: string;
        readonly tokens: readonly string[];
        readonly follow?: FollowOrder;
      },
    ) => {
      cleanup.use(process);
      const load = cleanup.use(
        new Load({
          maxSockets: sockets,
          tenants: 1,
          devicesPerSocket: DEVICES,
          devicesOfTenant: DEVICES,
          isEvery: false,
        }),
      );
      await load.connect({
        port,
        path,
        tokens,
        count: sockets,
        inFlight: 64,
        ...(follow === undefined ? {} : { follow }),
      });
      return async (): Promise<Turn> => {
        await process.ask(["run"]);
        await pause(SETTLE_MS);
        await load.read();
        const before = (await process.usage()).cpuSeconds;
        await pause(TURN_MS);
        const reading = await load.read();
        const cpuSeconds = (await process.usage()).cpuSeconds - before;
        await process.ask(["hold"]);
        await pause(SETTLE_MS);
        return {
          rate: reading.updates / reading.ms * 1_000,
          perCore: reading.updates / cpuSeconds,
        };
      };
    };
    const samples = Array.from({ length: DEVICES }, (_, device) => ({
      type: "telemetry",
      device_id: deviceName(device),
      data: sampleOf({ ms: Date.now(), n: 0, device }),
    }));
    const nodeWs = Child.start("peers/node_ws.cjs", {
      command: [node.program],
      args: [{ ws: node.ws, texts: samples.map((sample) => JSON.stringify(sample)) }],
    });
    const { port } = await nodeWs.ask<{ port: number }>(["port"]);
    const compared = new Rounds("node");
    const turns = new Map([
      ["node", await open({ process: nodeWs, port }, { path: "/", tokens: [""] })],
      [
        "ws",
        await open(await startService({ synthetic, pollMs: 10, isHeld: true }), {
          path: SOCKET_PATH,
          tokens: await tenantTokens(1),
          follow: { devices: true, alerts: false },
        }),
      ],
    ]);
    say(`${rounds + 1} rounds`);
    await compared.measure(turns, rounds);
    const row = (name: string, what: string): Row => {
      const rate = compared.of(name, "rate", whole);
      const perCore = compared.of(name, "perCore");
      const isControl = name === "node";
      return {
        what,
        value: `${whole(rate.median)} updates/s, ${whole(perCore.median)} a core${
          isControl ? "" : ` (${perCore.ratio.toFixed(2)} × the peer's)`
        }`,
        ...(isControl
          ? { spread: rate.spread }
          : { ratio: `${rate.ratio.toFixed(2)} ×`, spread: rate.ratioSpread, goal: "> 1 ×" }),
        isMet: isControl ? null : rate.ratio > 1,
      };
    };
    return [
      row("node", `control: Node ${node.version} with ws, ready strings in a loop`),
      row("ws", "the service, ws engine"),
    ];
  },
};

/** A Node that is installed, and the ws that Deno has fetched; null without one. */
async function findNode(): Promise<
  { readonly program: string; readonly version: string; readonly ws: string } | null
> {
  const run = async (program: string, args: readonly string[]) => {
    const { stdout } = await new Deno.Command(program, { args: [...args], stderr: "null" })
      .output();
    return new TextDecoder().decode(stdout).trim();
  };
  try {
    const version = await run("node", ["--version"]);
    const info = JSON.parse(await run(Deno.execPath(), ["info", "--json"])) as { npmCache: string };
    for await (const { name } of Deno.readDir(info.npmCache)) {
      const folder = `${info.npmCache}/${name}/ws`;
      try {
        for await (const { name: release, isDirectory } of Deno.readDir(folder)) {
          if (isDirectory) return { program: "node", version, ws: `${folder}/${release}` };
        }
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    return null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
