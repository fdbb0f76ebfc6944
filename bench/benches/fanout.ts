// How fast one tenant's ticks reach its sockets, with databases that cost nothing.
import type { Bench, Row } from "../bench.ts";
import { Child } from "../child.ts";
import { expectRenewed, Load } from "../load/load.ts";
import type { FollowOrder } from "../load/load_process.ts";
import { Rounds, type Turn } from "../rounds.ts";
import { pause } from "../pause.ts";
import { SOCKET_PATH, startControl, startService, type Subject } from "../service.ts";
import { whole } from "../statistics.ts";
import { tenantTokens } from "../tokens.ts";

const SOCKETS = 1_000;
const DEVICES = 20;
const TURN_MS = 1_000;
/** Turns are short, and the machine's pace changes from one second to the next: so many for one. */
const TURNS_FOR_ONE = 2;
/** Longer than a held read and the rest that follows a slow one. */
const SETTLE_MS = 700;
const SYNTHETIC = { devices: DEVICES, changingPercent: 100, readMs: 0, samplesPerSecond: 0 };

export interface Variant extends AsyncDisposable {
  turn(): Promise<Turn>;
}

export const fanout: Bench = {
  name: "fanout",
  work:
    "One tenant, 1,000 sockets that follow 20 devices each, a synthetic source that changes every device at every " +
    "tick, ticks as fast as they go; the control sends the same ready strings from a bare Deno.serve in a loop",
  async run({ scale, rounds: asked, say }) {
    const rounds = TURNS_FOR_ONE * asked;
    const sockets = Math.max(10, Math.round(SOCKETS * scale));
    const turnMs = Math.max(300, TURN_MS * scale);
    const follow = { devices: true, alerts: false };
    await using cleanup = new AsyncDisposableStack();
    const open = async (
      subject: Promise<Subject>,
      { path, tokens, ...order }: { path: string; tokens: string[]; follow?: FollowOrder },
    ) => {
      const variant = await openVariant(await subject, { sockets, turnMs, path, tokens, ...order });
      return cleanup.use(variant);
    };
    const service = (WS_ENGINE: string) =>
      startService({ synthetic: SYNTHETIC, pollMs: 10, isHeld: true }, { WS_ENGINE });
    const tokens = await tenantTokens(1);
    say(`opening 5 × ${sockets} sockets`);
    const control = await open(startControl(DEVICES), { path: "/", tokens: [""] });
    const ws = await open(service("ws"), { path: SOCKET_PATH, tokens, follow });
    const wsBatch = await open(service("ws"), {
      path: SOCKET_PATH,
      tokens,
      follow: { ...follow, hello: ["batch"] },
    });
    const deno = await open(service("deno"), { path: SOCKET_PATH, tokens, follow });
    const denoBatch = await open(service("deno"), {
      path: SOCKET_PATH,
      tokens,
      follow: { ...follow, hello: ["batch"] },
    });
    const ceiling = cleanup.use(await openCeiling({ sockets, turnMs }));

    const compared = new Rounds("control");
    say(`measuring ${rounds} rounds`);
    await compared.measure(
      new Map(
        Object.entries({ control, ws, wsBatch, deno, denoBatch, ceiling }).map(
          ([name, variant]) => [name, () => variant.turn()],
        ),
      ),
      rounds,
    );
    const row = (what: string, name: string, goal?: number): Row => {
      const rate = compared.of(name, "rate");
      const perCore = compared.of(name, "perServerCore");
      const client = compared.of(name, "clientCores");
      const core = name === "control"
        ? `${whole(perCore.median)} a core`
        : `${whole(perCore.median)} a core (${perCore.ratio.toFixed(2)} × control's)`;
      return {
        what,
        value: `${whole(rate.median)} updates/s, ${core}; client ${client.median.toFixed(2)} core`,
        ...(name === "control" ? {} : { ratio: `${rate.ratio.toFixed(2)} ×` }),
        spread: name === "control" ? compared.of(name, "rate", whole).spread : rate.ratioSpread,
        ...(goal === undefined ? {} : { goal: `≥ ${goal} ×` }),
        isMet: goal === undefined ? null : rate.ratio >= goal,
      };
    };
    const batched = (engine: "ws" | "deno"): Row => {
      const gain = compared.ratio("rate", [`${engine}Batch`, engine]);
      return {
        what: `${engine}: batch against none`,
        value: `${gain.median.toFixed(2)} × the updates`,
        spread: gain.spread,
        goal: "> 1 ×",
        isMet: gain.median > 1,
      };
    };
    const ceilingRate = compared.of("ceiling", "rate");
    return [
      row("control: bare Deno.serve", "control"),
      row("ws engine", "ws", 3),
      row("ws engine, batch", "wsBatch"),
      row("deno engine", "deno", 0.9),
      row("deno engine, batch", "denoBatch"),
      batched("ws"),
      batched("deno"),
      {
        what: "load client's own ceiling (ready bytes from a raw socket)",
        value: `${whole(ceilingRate.median)} updates/s, ${
          whole(compared.of("ceiling", "perClientCore").median)
        } a core of its own`,
        ratio: `${ceilingRate.ratio.toFixed(2)} ×`,
        spread: ceilingRate.ratioSpread,
        isMet: null,
      },
    ];
  },
};

/** Sockets of one tenant on one process, that are sent updates for as long as a turn takes. */
export async function openVariant(
  { process, port }: Subject,
  { sockets, turnMs, path, tokens, follow }: {
    readonly sockets: number;
    readonly turnMs: number;
    readonly path: string;
    readonly tokens: readonly string[];
    readonly follow?: FollowOrder;
  },
): Promise<Variant> {
  const load = new Load({
    maxSockets: sockets,
    tenants: 1,
    devicesPerSocket: DEVICES,
    devicesOfTenant: DEVICES,
    isEvery: false,
    isAlwaysNew: true,
  });
  await load.connect({
    port,
    path,
    tokens,
    count: sockets,
    inFlight: 64,
    ...(follow === undefined ? {} : { follow }),
  });
  return {
    async turn() {
      await process.ask(["run"]);
      await pause(SETTLE_MS);
      await load.read();
      const before = (await process.usage()).cpuSeconds;
      await pause(turnMs);
      const reading = await load.read();
      const cpuSeconds = (await process.usage()).cpuSeconds - before;
      await process.ask(["hold"]);
      await drained(load);
      if (reading.open !== sockets) throw new Error(`${reading.open} of ${sockets} sockets left`);
      expectRenewed(reading, sockets * DEVICES);
      if (reading.most > 10 * DEVICES && reading.fewest < reading.most / 4) {
        throw new Error(`A socket got ${reading.fewest} updates while another got ${reading.most}`);
      }
      const seconds = reading.ms / 1_000;
      return {
        rate: reading.updates / seconds,
        perServerCore: reading.updates / cpuSeconds,
        perClientCore: reading.updates / reading.cpuSeconds,
        clientCores: reading.cpuSeconds / seconds,
      };
    },
    async [Symbol.asyncDispose]() {
      await load[Symbol.asyncDispose]();
      await process[Symbol.asyncDispose]();
    },
  };
}

/** What the load client can count when whole ticks come ready made. */
async function openCeiling(
  { sockets, turnMs }: { readonly sockets: number; readonly turnMs: number },
): Promise<Variant> {
  const process = Child.start("subjects/ceiling_entry.ts", { args: [{ messages: DEVICES }] });
  const { port } = await process.ask<{ port: number }>(["port"]);
  return await openVariant({ process, port }, { sockets, turnMs, path: "/", tokens: [""] });
}

/** Waits until what was under way has come, so that the next turn has the machine for itself. */
async function drained(load: Load): Promise<void> {
  for (let nth = 0; nth < 100; nth++) {
    await pause(50);
    if ((await load.read()).frames === 0) return;
  }
  throw new Error("Updates went on coming after the end of a turn");
}
