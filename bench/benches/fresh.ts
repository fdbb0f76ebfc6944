// How old a sample is when a client has it, and what the service spends on it, with everything on one machine.
import type { Bench } from "../bench.ts";
import { Load } from "../load/load.ts";
import { pause } from "../pause.ts";
import { SOCKET_PATH } from "../service.ts";
import type { Reads } from "../subjects/service_entry.ts";
import { median, percentile, percentileOf, spread, whole } from "../statistics.ts";
import { tenantTokens } from "../tokens.ts";
import { World } from "../world.ts";

const TENANTS = 10;
export const DEVICES_OF_TENANT = 50;
const DEVICES = 10;
const SOCKETS = 15_000;
const POLL_MS = 1_000;
const TURN_MS = 6_000;
const SETTLE_MS = 3_000;

/** The whole of it at work: databases, writer, service, and sockets that follow devices and alerts. */
export async function openFresh(
  { sockets, say, coldDevices = 0 }: {
    readonly sockets: number;
    readonly say: (text: string) => void;
    /** Devices of each tenant that are written and that none of the sockets follows. */
    readonly coldDevices?: number;
  },
): Promise<{ readonly world: World; readonly load: Load } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  say("starting databases, writer and service");
  const world = stack.use(
    await World.open({
      tenants: TENANTS,
      devicesOfTenant: DEVICES_OF_TENANT + coldDevices,
      pollSeconds: POLL_MS / 1_000,
    }),
  );
  const load = stack.use(
    new Load({
      maxSockets: sockets,
      tenants: TENANTS,
      devicesPerSocket: DEVICES,
      devicesOfTenant: DEVICES_OF_TENANT,
      isEvery: false,
    }),
  );
  say(`connecting ${sockets} sockets`);
  await load.connect({
    port: world.service.port,
    path: SOCKET_PATH,
    tokens: await tenantTokens(TENANTS),
    count: sockets,
    inFlight: 64,
    follow: { devices: true, alerts: true },
  });
  await pause(SETTLE_MS);
  const owned = stack.move();
  return { world, load, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

export function freshSockets(scale: number): number {
  return Math.max(TENANTS, Math.round(SOCKETS * scale));
}

export const fresh: Bench = {
  name: "fresh",
  work:
    "Real InfluxDB and PostgreSQL, a writer once a second, 10 tenants × 50 devices, 15,000 sockets × 10 devices and " +
    "alerts, poll 1 s, everything on this machine",
  async run({ scale, rounds, say }) {
    const sockets = freshSockets(scale);
    await using opened = await openFresh({ sockets, say });
    const { world: { service: { process } }, load } = opened;
    await load.read();
    await process.ask(["reads"]);
    const p99s: number[] = [];
    const p50s: number[] = [];
    const cores: number[] = [];
    const rates: number[] = [];
    const clientCores: number[] = [];
    let least = Infinity;
    for (let round = 0; round <= rounds; round++) {
      say(`round ${round} of ${rounds}`);
      const before = (await process.usage()).cpuSeconds;
      await pause(TURN_MS);
      const reading = await load.read();
      const seconds = reading.ms / 1_000;
      if (reading.open !== sockets) throw new Error(`${reading.open} of ${sockets} sockets left`);
      if (round === 0) continue;
      p99s.push(percentileOf(reading.ages, 99));
      p50s.push(percentileOf(reading.ages, 50));
      cores.push(((await process.usage()).cpuSeconds - before) / seconds);
      rates.push(reading.updates / seconds);
      clientCores.push(reading.cpuSeconds / seconds);
      least = Math.min(least, reading.fewest / reading.most);
    }
    const { tookMs } = await process.ask<Reads>(["reads"]);
    const { residentBytes } = await process.usage();
    const p99 = median(p99s);
    return [
      {
        what: "write → client, p99",
        value: `${whole(p99)} ms (p50 ${whole(median(p50s))} ms)`,
        spread: spread(p99s, whole),
        goal: `≤ ${POLL_MS + 250} ms`,
        isMet: p99 <= POLL_MS + 250,
      },
      {
        what: "updates delivered",
        value: `${whole(median(rates))} a second to ${whole(sockets)} sockets`,
        spread: spread(rates, whole),
        isMet: null,
      },
      {
        what: "socket with the fewest updates against the one with the most",
        value: least.toFixed(2),
        goal: "no socket starved: ≥ 0.5",
        isMet: least >= 0.5,
      },
      {
        what: "the service's processor time",
        value: `${median(cores).toFixed(2)} core`,
        spread: spread(cores),
        goal: "≤ 0.5 core",
        isMet: median(cores) <= 0.5,
      },
      {
        what: "the load client's processor time",
        value: `${median(clientCores).toFixed(2)} core`,
        spread: spread(clientCores),
        isMet: null,
      },
      {
        what: "one telemetry read of 50 devices",
        value: `median ${median(tookMs).toFixed(0)} ms, p99 ${
          percentile(tookMs, 99).toFixed(0)
        } ms`,
        isMet: null,
      },
      {
        what: "the service's memory",
        value: `${whole(residentBytes / (1 << 20))} MiB, ${
          (residentBytes / sockets / 1_024).toFixed(1)
        } KiB a socket`,
        isMet: null,
      },
    ];
  },
};
