// How many sockets a FastAPI process holds that asks InfluxDB for each device of each socket, and what the service spends
// on as many, on the same databases. A server holds its sockets while each gets nine of ten updates that are due.
import type { BenchOptions, Row } from "../bench.ts";
import { Load } from "../load/load.ts";
import { tenantName } from "../load/names.ts";
import { pause } from "../pause.ts";
import { SOCKET_PATH } from "../service.ts";
import { whole } from "../statistics.ts";
import { tenantTokens } from "../tokens.ts";
import type { Usage } from "../usage.ts";
import { DEVICES_OF_TENANT, POLL_MS, TENANTS, type World } from "../world.ts";
import type { Installed } from "./centrifugo.ts";
import { FASTAPI_PATH, startFastApi } from "./fastapi.ts";

const DEVICES = 10;
const FEWEST_SOCKETS = 5;
const MOST_SOCKETS = 640;
const TURN_MS = 2_000;
const SETTLE_MS = 1_200;
const HELD = 0.9;

interface Step {
  readonly sockets: number;
  readonly rate: number;
  readonly cores: number;
  /** InfluxDB's, without what writing alone takes. */
  readonly databaseCores: number;
  readonly isHeld: boolean;
}

export async function measurePolling(
  { fastApi, world }: { readonly fastApi: Installed; readonly world: World },
  { say }: Pick<BenchOptions, "say">,
): Promise<readonly Row[]> {
  await using cleanup = new AsyncDisposableStack();
  const databaseCores = async (turn: () => Promise<unknown>) => {
    const [before, startedAt] = [(await world.influxUsage()).cpuSeconds, performance.now()];
    await turn();
    const { cpuSeconds } = await world.influxUsage();
    return (cpuSeconds - before) / (performance.now() - startedAt) * 1_000;
  };
  say("InfluxDB with nobody but its writer");
  await pause(SETTLE_MS);
  const writing = await databaseCores(() => pause(TURN_MS));
  const stepper = (
    served: { usage(): Promise<Usage> },
    to: { readonly port: number; readonly path: string; readonly tokens: readonly string[] },
  ) => {
    const load = cleanup.use(
      new Load({
        maxSockets: MOST_SOCKETS,
        tenants: TENANTS,
        devicesPerSocket: DEVICES,
        devicesOfTenant: DEVICES_OF_TENANT,
        isEvery: false,
        mayLackValues: true,
      }),
    );
    return async (sockets: number): Promise<Step> => {
      const follow = { devices: true, alerts: false };
      await load.connect({ ...to, count: sockets, inFlight: 64, follow });
      await pause(SETTLE_MS);
      await load.read();
      const before = (await served.usage()).cpuSeconds;
      const reading = await databaseCores(() => pause(TURN_MS));
      const { updates, ms } = await load.read();
      const cpuSeconds = (await served.usage()).cpuSeconds - before;
      await load.close();
      const rate = updates / ms * 1_000;
      const isHeld = rate >= HELD * sockets * DEVICES * 1_000 / POLL_MS;
      return {
        sockets,
        rate,
        cores: cpuSeconds / ms * 1_000,
        databaseCores: Math.max(0, reading - writing),
        isHeld,
      };
    };
  };
  const peer = cleanup.use(
    await startFastApi(fastApi, { influxUrl: world.influxUrl, pollMs: POLL_MS }),
  );
  const steps: Step[] = [];
  const stepOf = stepper(peer, {
    port: peer.port,
    path: FASTAPI_PATH,
    tokens: Array.from({ length: TENANTS }, (_, nth) => tenantName(nth)),
  });
  const step = async (sockets: number) => {
    say(`${sockets} sockets by FastAPI`);
    const taken = await stepOf(sockets);
    steps.push(taken);
    return taken.isHeld;
  };
  let sockets = FEWEST_SOCKETS;
  while (sockets <= MOST_SOCKETS && await step(sockets)) sockets *= 2;
  // Half way between what was held and what was not, to come nearer to what it can do.
  if (sockets > FEWEST_SOCKETS && sockets <= MOST_SOCKETS) await step(sockets * 3 / 4);
  const held = steps.filter(({ isHeld }) => isHeld).reduce<Step | null>(
    (most, step) => most === null || step.sockets > most.sockets ? step : most,
    null,
  );
  const most = steps.reduce((best, step) => step.rate > best.rate ? step : best);
  const rows: Row[] = [{
    what: `${fastApi.version}, a query for each device of each socket`,
    value: held === null
      ? `not even ${FEWEST_SOCKETS} sockets held`
      : `${held.sockets} sockets held: ${spentBy(held)}; at most ${whole(most.rate)} updates/s`,
    isMet: null,
  }];
  if (held === null) return rows;
  const { process, port } = await world.startService();
  cleanup.use(process);
  say(`${held.sockets} sockets by the service`);
  const ours = await stepper(process, {
    port,
    path: SOCKET_PATH,
    tokens: await tenantTokens(TENANTS),
  })(held.sockets);
  const ratio = totalOf(ours) / totalOf(held);
  return [...rows, {
    what: `the service with ${held.sockets} sockets`,
    value: `${whole(ours.rate)} updates/s: ${spentBy(ours)}`,
    ratio: `${ratio.toFixed(2)} ×`,
    goal: "< 1 ×, both together",
    isMet: ours.isHeld && ratio < 1,
  }];
}

function totalOf({ cores, databaseCores }: Step): number {
  return cores + databaseCores;
}

function spentBy({ cores, databaseCores }: Step): string {
  return `${cores.toFixed(2)} core and ${databaseCores.toFixed(2)} of InfluxDB's`;
}
