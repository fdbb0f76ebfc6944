// How fast every sample reaches those who want each of them.
import type { Bench } from "../bench.ts";
import { expectRenewed, Load } from "../load/load.ts";
import { pause } from "../pause.ts";
import { SOCKET_PATH, startService } from "../service.ts";
import { median, spread, whole } from "../statistics.ts";
import { tenantTokens } from "../tokens.ts";

const SOCKETS = 500;
const DEVICES = 10;
const DEVICES_OF_TENANT = 50;
const SAMPLES_PER_SECOND = 10;
const TURN_MS = 3_000;

export const every: Bench = {
  name: "every",
  work:
    "One tenant, 500 sockets that follow every sample of 10 of 50 devices, 10 samples a second each, poll 1 s, " +
    "synthetic source; a sample that is missing, doubled or out of order ends the bench",
  async run({ scale, rounds, say }) {
    const sockets = Math.max(5, Math.round(SOCKETS * scale));
    const { process, port } = await startService({
      synthetic: {
        devices: DEVICES_OF_TENANT,
        changingPercent: 100,
        readMs: 1,
        samplesPerSecond: SAMPLES_PER_SECOND,
      },
    }, { WS_POLL_SECONDS: "1", SOCKET_HIGH_WATER_BYTES: "1048576" });
    await using _process = process;
    await using load = new Load({
      maxSockets: sockets,
      tenants: 1,
      devicesPerSocket: DEVICES,
      devicesOfTenant: DEVICES_OF_TENANT,
      isEvery: true,
    });
    await load.connect({
      port,
      path: SOCKET_PATH,
      tokens: await tenantTokens(1),
      count: sockets,
      inFlight: 64,
      follow: { devices: true, alerts: false, options: { mode: "every" } },
    });
    await pause(3_000);
    await load.read();
    const rates: number[] = [];
    const perCore: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      say(`round ${round} of ${rounds}`);
      const before = (await process.usage()).cpuSeconds;
      await pause(TURN_MS);
      const reading = await load.read();
      expectRenewed(reading, sockets * DEVICES);
      if (round === 0) continue;
      const cpuSeconds = (await process.usage()).cpuSeconds - before;
      rates.push(reading.updates / reading.ms * 1_000);
      perCore.push(reading.updates / cpuSeconds);
    }
    const due = sockets * DEVICES * SAMPLES_PER_SECOND;
    return [
      {
        what: "samples delivered, each once and in order",
        value: `${whole(median(rates))} a second of ${whole(due)} written`,
        spread: spread(rates, whole),
        goal: "nothing lost",
        isMet: median(rates) > due * 0.9,
      },
      {
        what: "samples for each second of processor time",
        value: `${whole(median(perCore))} a second and core`,
        spread: spread(perCore, whole),
        isMet: null,
      },
    ];
  },
};
