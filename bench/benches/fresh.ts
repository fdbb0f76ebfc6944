// How old a sample is when a client has it, and what the service spends on it, with everything on one machine.
import type { Bench, BenchOptions } from "../bench.ts";
import { expectRenewed, Load } from "../load/load.ts";
import { pause } from "../pause.ts";
import { SOCKET_PATH } from "../service.ts";
import type { Holding, Reads } from "../subjects/service_entry.ts";
import { median, percentile, percentileOf, spread, whole } from "../statistics.ts";
import type { Shareable } from "../shared.ts";
import { tenantTokens } from "../tokens.ts";
import {
  ALERTS_OF_TENANT,
  DEVICES_OF_TENANT,
  POLL_MS,
  sharedWorld,
  TENANTS,
  type World,
} from "../world.ts";

export const DEVICES = 10;
const SOCKETS = 15_000;
const LEAVE_WITHIN_MS = 30_000;
const TURN_MS = 6_000;
const SETTLE_MS = 3_000;
const MIB = 1 << 20;

/** The whole of it at work: databases, writer, service, and sockets that follow devices and alerts. */
export interface Crowd extends AsyncDisposable {
  readonly world: World;
  readonly load: Load;
  readonly sockets: number;
  /** What the service's process took before the first of them came. */
  readonly emptyBytes: number;
}

export const CROWD = "crowd";

/** One for all benches that want it at this scale. */
export function crowdOf({ scale, say }: Pick<BenchOptions, "scale" | "say">): Shareable<Crowd> {
  const sockets = freshSockets(scale);
  return {
    name: CROWD,
    async open(shared) {
      say("starting databases, writer and service");
      const world = await shared.get(sharedWorld);
      const { process, port } = world.service;
      const emptyBytes = (await process.usage()).residentBytes;
      await using stack = new AsyncDisposableStack();
      stack.defer(() => left(world));
      const load = stack.use(
        new Load({
          maxSockets: sockets,
          tenants: TENANTS,
          devicesPerSocket: DEVICES,
          devicesOfTenant: DEVICES_OF_TENANT,
          isEvery: false,
          openAlerts: ALERTS_OF_TENANT,
          mayLackValues: true,
        }),
      );
      say(`connecting ${sockets} sockets`);
      await load.connect({
        port,
        path: SOCKET_PATH,
        tokens: await tenantTokens(TENANTS),
        count: sockets,
        inFlight: 64,
        follow: { devices: true, alerts: true },
      });
      await pause(SETTLE_MS);
      const owned = stack.move();
      const close = () => owned.disposeAsync();
      return { world, load, sockets, emptyBytes, [Symbol.asyncDispose]: close };
    },
  };
}

/** Until the service has noticed that all are gone: whoever comes next has it for itself. */
async function left({ service: { process } }: World): Promise<void> {
  const deadline = performance.now() + LEAVE_WITHIN_MS;
  while ((await process.ask<Holding>(["holding"])).connections > 0) {
    if (performance.now() > deadline) throw new Error("The service keeps sockets that are gone");
    await pause(100);
  }
}

function freshSockets(scale: number): number {
  return Math.max(TENANTS, Math.round(SOCKETS * scale));
}

export const fresh: Bench = {
  name: "fresh",
  shares: [sharedWorld.name, CROWD],
  work:
    "Real InfluxDB and PostgreSQL, a writer once a second, 10 tenants × 50 devices, 15,000 sockets × 10 devices and " +
    "alerts, poll 1 s, everything on this machine",
  async run({ scale, rounds, say, shared }) {
    const { world: { service: { process } }, load, sockets, emptyBytes } = await shared.get(
      crowdOf({ scale, say }),
    );
    await load.read();
    await process.ask(["reads"]);
    const p99s: number[] = [];
    const p50s: number[] = [];
    const cores: number[] = [];
    const rates: number[] = [];
    const clientCores: number[] = [];
    const growths: number[] = [];
    let least = Infinity;
    for (let round = 0; round <= rounds; round++) {
      say(`round ${round} of ${rounds}`);
      const before = await process.usage();
      await pause(TURN_MS);
      const reading = await load.read();
      const seconds = reading.ms / 1_000;
      if (reading.open !== sockets) throw new Error(`${reading.open} of ${sockets} sockets left`);
      expectRenewed(reading, sockets * DEVICES);
      if (reading.alerts < sockets * seconds / 2) {
        throw new Error(`${sockets} sockets got ${reading.alerts} lists of alerts`);
      }
      if (round === 0) continue;
      p99s.push(percentileOf(reading.ages, 99));
      p50s.push(percentileOf(reading.ages, 50));
      const after = await process.usage();
      cores.push((after.cpuSeconds - before.cpuSeconds) / seconds);
      growths.push((after.residentBytes - before.residentBytes) / MIB / seconds);
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
        value: `${whole(residentBytes / MIB)} MiB, ${
          ((residentBytes - emptyBytes) / sockets / 1_024).toFixed(1)
        } KiB of it a socket`,
        isMet: null,
      },
      {
        what: "what it grows by until all of its heap is collected",
        value: `${median(growths).toFixed(2)} MiB a second`,
        spread: spread(growths),
        isMet: null,
      },
    ];
  },
};
