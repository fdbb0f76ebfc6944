// Centrifugo with the sockets of `fresh`, fed once a second by its batch API, without any database, in turns with the
// service that has as many and reads both databases for them. It must never be handed more than the service finds.
import type { BenchOptions, Row } from "../bench.ts";
import type { Crowd } from "../benches/fresh.ts";
import { Child } from "../child.ts";
import { Load } from "../load/load.ts";
import { pause } from "../pause.ts";
import { Rounds, type Turn } from "../rounds.ts";
import { whole } from "../statistics.ts";
import type { Usage } from "../usage.ts";
import { DEVICES_OF_TENANT, POLL_MS, TENANTS } from "../world.ts";
import { CENTRIFUGO_PATH, type Installed, startCentrifugo } from "./centrifugo.ts";
import type { FeedOptions } from "./centrifugo_feed.ts";

const DEVICES = 10;
const TURN_MS = 2_000;
/** What a second takes differs from one to the next: so many turns for one. */
const TURNS_FOR_ONE = 2;
const SETTLE_MS = 1_200;

export async function measureSteady(
  { centrifugo, crowd }: { readonly centrifugo: Installed; readonly crowd: Crowd },
  { rounds: asked, say }: Pick<BenchOptions, "rounds" | "say">,
): Promise<readonly Row[]> {
  const rounds = TURNS_FOR_ONE * asked;
  const { sockets } = crowd;
  await using cleanup = new AsyncDisposableStack();
  const feed = {
    by: "centrifugo",
    tenants: TENANTS,
    devices: DEVICES_OF_TENANT,
    everyMs: POLL_MS,
  } satisfies FeedOptions;
  const fed = cleanup.use(Child.start("peers/centrifugo_feed.ts", { args: [feed] }));
  const pollUrl = "http://127.0.0.1:1/";
  const peer = cleanup.use(await startCentrifugo(centrifugo, { pollUrl, pollMs: POLL_MS }));
  await fed.ask(["listen", peer.port]);
  const load = cleanup.use(
    new Load({
      maxSockets: sockets,
      tenants: TENANTS,
      devicesPerSocket: DEVICES,
      devicesOfTenant: DEVICES_OF_TENANT,
      isEvery: false,
      dialect: "centrifugo",
    }),
  );
  const emptyBytes = (await peer.usage()).residentBytes;
  say(`opening ${sockets} sockets of Centrifugo's`);
  await load.connect({
    port: peer.port,
    path: CENTRIFUGO_PATH,
    tokens: [""],
    count: sockets,
    inFlight: 64,
    follow: { devices: true, alerts: false },
  });
  const turnOf = async (
    served: { usage(): Promise<Usage> },
    { load, emptyBytes }: { readonly load: Load; readonly emptyBytes: number },
  ): Promise<Turn> => {
    await pause(SETTLE_MS);
    await load.read();
    const before = (await served.usage()).cpuSeconds;
    await pause(TURN_MS);
    const { updates, ms, fewest } = await load.read();
    if (fewest === 0) throw new Error("A socket got nothing while others were served");
    const { cpuSeconds, residentBytes } = await served.usage();
    return {
      rate: updates / ms * 1_000,
      cores: (cpuSeconds - before) / ms * 1_000,
      perCore: updates / (cpuSeconds - before),
      bytes: (residentBytes - emptyBytes) / sockets,
    };
  };
  const compared = new Rounds("peer");
  say(`${rounds + 1} rounds once a second`);
  await compared.measure(
    new Map<string, () => Promise<Turn>>([
      ["peer", async () => {
        await fed.ask(["run"]);
        const turn = await turnOf(peer, { load, emptyBytes });
        await fed.ask(["hold"]);
        return turn;
      }],
      ["service", () => turnOf(crowd.world.service.process, crowd)],
    ]),
    rounds,
  );
  const kib = (bytes: number) => (bytes / 1_024).toFixed(1);
  const rowOf = (name: string, what: string): Row => ({
    what,
    value: `${compared.of(name, "cores").median.toFixed(2)} core for ${
      whole(compared.of(name, "rate").median)
    } updates/s, ${kib(compared.of(name, "bytes").median)} KiB a socket`,
    spread: `${compared.of(name, "cores").spread} core`,
    isMet: null,
  });
  // Of an update: the service leaves out ticks for which the machine has no room.
  const cost = compared.ratio("perCore", ["peer", "service"]);
  const memory = compared.ratio("bytes", ["service", "peer"]);
  return [
    rowOf("peer", `Centrifugo ${centrifugo.version}, ${whole(sockets)} sockets, no database`),
    rowOf("service", `the service, ${whole(sockets)} sockets and alerts, both databases read`),
    {
      what: "the service's processor time for an update against Centrifugo's",
      value: "database reads included",
      ratio: `${cost.median.toFixed(2)} ×`,
      spread: cost.spread,
      goal: "≤ 0.5 ×",
      isMet: cost.median <= 0.5,
    },
    {
      what: "the service's memory for a socket against Centrifugo's",
      value: "resident, no garbage collected for it",
      ratio: `${memory.median.toFixed(2)} ×`,
      spread: memory.spread,
      goal: "≤ 0.33 ×",
      isMet: memory.median <= 1 / 3,
    },
  ];
}
