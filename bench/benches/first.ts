// How soon a client has the first value of a device that nobody followed, while everybody else is served.
import type { Bench } from "../bench.ts";
import { expectRenewed, Load } from "../load/load.ts";
import { pause } from "../pause.ts";
import { SOCKET_PATH } from "../service.ts";
import type { Reads } from "../subjects/service_entry.ts";
import { median, percentile, spread } from "../statistics.ts";
import { tenantTokens } from "../tokens.ts";
import { COLD_DEVICES, DEVICES_OF_TENANT, POLL_MS, sharedWorld, TENANTS } from "../world.ts";
import { CROWD, crowdOf, DEVICES } from "./fresh.ts";

const PROBES = 100;
const PAUSE_MS = 40;
/** Everybody else must have something new by then. */
const SERVED_MS = 3 * POLL_MS;

export const first: Bench = {
  name: "first",
  shares: [sharedWorld.name, CROWD],
  work:
    "From a subscription to its first value, one by one, for devices that nobody follows, while `fresh` runs",
  async run({ scale, rounds, say, shared }) {
    const { world, load, sockets } = await shared.get(crowdOf({ scale, say }));
    const { process, port } = world.service;
    await using probe = new Load({
      maxSockets: 1,
      tenants: 1,
      firstTenant: TENANTS - 1,
      devicesPerSocket: COLD_DEVICES,
      devicesOfTenant: DEVICES_OF_TENANT + COLD_DEVICES,
      isEvery: false,
      mayLackValues: true,
    });
    const [token = ""] = (await tenantTokens(TENANTS)).slice(-1);
    await probe.connect({ port, path: SOCKET_PATH, tokens: [token], count: 1, inFlight: 1 });
    const took: number[] = [];
    const p99s: number[] = [];
    await load.read();
    const servedBy = performance.now() + SERVED_MS;
    await process.ask(["reads"]);
    for (let round = 0; round <= rounds; round++) {
      say(`round ${round} of ${rounds}`);
      const times = await probe.probe({
        times: Math.max(5, Math.round(PROBES * scale)),
        everyMs: PAUSE_MS,
        firstDevice: DEVICES_OF_TENANT,
        devices: COLD_DEVICES,
      });
      if (round === 0) {
        await process.ask(["reads"]);
        continue;
      }
      took.push(...times);
      p99s.push(percentile(times, 99));
    }
    const { tookMs } = await process.ask<Reads>(["reads"]);
    await pause(Math.max(0, servedBy - performance.now()));
    expectRenewed(await load.read(), sockets * DEVICES);
    const read = percentile(tookMs, 99);
    const p99 = median(p99s);
    return [
      {
        what: "subscribe → first value, p99",
        value: `${p99.toFixed(0)} ms (p50 ${median(took).toFixed(0)} ms)`,
        spread: spread(p99s, (ms) => ms.toFixed(0)),
        goal: `≤ one read (p99 ${read.toFixed(0)} ms) + 50 ms`,
        isMet: p99 <= read + 50,
      },
    ];
  },
};
