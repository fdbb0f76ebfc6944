// What is left of clients that came and went.
import type { Bench } from "../bench.ts";
import type { Child } from "../child.ts";
import { Load } from "../load/load.ts";
import { pause } from "../pause.ts";
import { SOCKET_PATH, startService } from "../service.ts";
import type { Holding } from "../subjects/service_entry.ts";
import { whole } from "../statistics.ts";
import { tenantTokens } from "../tokens.ts";

const CONNECTIONS = 50_000;
/** After fewer the heap still grows a little, by itself; after so many it does not, however many come. */
const WARM_UP = 15_000;
const TENANTS = 10;
const DEVICES = 5;
const IN_FLIGHT = 64;
const LINGER_MS = 2_500;

export const churn: Bench = {
  name: "churn",
  work:
    "50,000 connections that subscribe to 5 devices and alerts and close in order, 64 at once, after 15,000 that are not " +
    "counted",
  async run({ scale, say }) {
    const connections = Math.round(CONNECTIONS * scale);
    const { process, port } = await startService({
      synthetic: { devices: 50, changingPercent: 100, readMs: 1, samplesPerSecond: 0 },
    }, { WS_POLL_SECONDS: "1" });
    await using _process = process;
    await using load = new Load({
      maxSockets: IN_FLIGHT,
      tenants: TENANTS,
      devicesPerSocket: DEVICES,
      devicesOfTenant: 50,
      isEvery: false,
    });
    const tokens = await tenantTokens(TENANTS);
    const turn = async (count: number) => {
      const ms = await load.connect({
        port,
        path: SOCKET_PATH,
        tokens,
        count,
        inFlight: IN_FLIGHT,
        isChurn: true,
        follow: { devices: true, alerts: true },
      });
      await pause(LINGER_MS);
      return ms;
    };
    say("warming up");
    await turn(Math.round(WARM_UP * scale));
    const before = await holdingOf(process);
    say(`${connections} connections`);
    const ms = await turn(connections);
    const after = await holdingOf(process);
    const left = after.connections + after.feeds + after.seats;
    const growth = after.heapBytes / before.heapBytes - 1;
    const kib = (bytes: number) => whole(bytes / 1_024);
    return [
      {
        what: "connect, subscribe, close",
        value: `${whole(connections / ms * 1_000)} a second`,
        isMet: null,
      },
      {
        what: "left behind",
        value:
          `${after.connections} connections, ${after.feeds} feeds with their interest, ${after.seats} seats`,
        goal: "0",
        isMet: left === 0,
      },
      {
        what: "timers",
        value: `${after.timers}, ${before.timers} before`,
        goal: "none more",
        isMet: after.timers <= before.timers,
      },
      {
        what: "heap",
        value: `${kib(after.heapBytes)} KiB, ${kib(before.heapBytes)} before`,
        ratio: `${(100 * growth).toFixed(1)} %`,
        goal: "within 5 %",
        isMet: growth <= 0.05,
      },
      {
        what: "resident memory",
        value: `${kib(after.residentBytes)} KiB, ${kib(before.residentBytes)} before`,
        isMet: null,
      },
    ];
  },
};

/** Without what the bench has counted meanwhile: it lies in the same heap, and is not the service's. */
async function holdingOf(process: Child): Promise<Holding> {
  await process.ask(["forget"]);
  return await process.ask<Holding>(["holding"]);
}
