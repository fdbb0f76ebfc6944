// Many tenants with hardly anybody each: whether their reads keep out of each other's way.
import type { Bench } from "../bench.ts";
import { expectRenewed, Load } from "../load/load.ts";
import { pause } from "../pause.ts";
import { SOCKET_PATH, startService } from "../service.ts";
import type { Reads } from "../subjects/service_entry.ts";
import { percentile, whole } from "../statistics.ts";
import { tenantTokens } from "../tokens.ts";

const TENANTS = 1_000;
const POLL_MS = 5_000;
const TICKS = 3;
const READ_MS = 10;
const DEVICES = 10;
const SLOTS = 20;

export const tenants: Bench = {
  name: "tenants",
  work:
    "1,000 tenants with one socket each that follows 10 devices and alerts, poll 5 s, against a source that takes " +
    "10 ms for each read",
  async run({ scale, say }) {
    const count = Math.max(20, Math.round(TENANTS * scale));
    const { process, port } = await startService({
      synthetic: { devices: DEVICES, changingPercent: 100, readMs: READ_MS, samplesPerSecond: 0 },
    }, { WS_POLL_SECONDS: String(POLL_MS / 1_000) });
    await using _process = process;
    await using load = new Load({
      maxSockets: count,
      tenants: count,
      devicesPerSocket: DEVICES,
      devicesOfTenant: DEVICES,
      isEvery: false,
    });
    await load.connect({
      port,
      path: SOCKET_PATH,
      tokens: await tenantTokens(count),
      count,
      inFlight: 64,
      follow: { devices: true, alerts: true },
    });
    // The first interval has the reads of first values, and the one after it is where ticks find their places.
    await pause(2 * POLL_MS);
    await process.ask(["reads"]);
    await process.ask(["lags"]);
    await load.read();
    const before = (await process.usage()).cpuSeconds;
    say(`${TICKS} ticks of ${count} tenants`);
    await pause(TICKS * POLL_MS);
    const { telemetry, latenessMs, phasesMs } = await process.ask<Reads>(["reads"]);
    const { lags } = await process.ask<{ lags: number[] }>(["lags"]);
    const cores = ((await process.usage()).cpuSeconds - before) / (TICKS * POLL_MS / 1_000);
    expectRenewed(await load.read(), count * DEVICES);
    const slots = new Array<number>(SLOTS).fill(0);
    for (const phase of phasesMs) {
      slots[Math.min(SLOTS - 1, Math.floor(phase / POLL_MS * SLOTS))]!++;
    }
    const fullest = Math.max(...slots) / (telemetry / SLOTS);
    const lateness = percentile(latenessMs, 99);
    const lag = percentile(lags, 99);
    return [
      {
        what: "tick lateness, p99",
        value: `${lateness.toFixed(1)} ms (greatest ${Math.max(...latenessMs).toFixed(0)} ms)`,
        goal: `bounded: ≤ ${POLL_MS / 10} ms`,
        isMet: lateness <= POLL_MS / 10,
      },
      {
        what: "reads in the fullest twentieth of the interval against an even spread",
        value: `${fullest.toFixed(2)} × of ${whole(telemetry / TICKS)} a tick`,
        goal: "≤ 2 ×",
        isMet: fullest <= 2,
      },
      {
        what: "event-loop lag, p99",
        value: `${lag.toFixed(1)} ms (p50 ${percentile(lags, 50).toFixed(1)} ms)`,
        goal: "≤ 50 ms",
        isMet: lag <= 50,
      },
      { what: "processor time", value: `${cores.toFixed(2)} core`, isMet: null },
    ];
  },
};
