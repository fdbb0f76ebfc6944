// What happens when everybody comes back at once and asks for what was missed.
import type { Bench } from "../bench.ts";
import { Load } from "../load/load.ts";
import { pause } from "../pause.ts";
import { SOCKET_PATH } from "../service.ts";
import { percentileOf, whole } from "../statistics.ts";
import { tenantTokens } from "../tokens.ts";
import { World } from "../world.ts";

const TENANTS = 10;
const DEVICES_OF_TENANT = 50;
const DEVICES = 10;
const SOCKETS = 3_000;
const STAYING = 300;
const POLL_MS = 1_000;
const AWAY_MS = 30_000;
const NORMAL_MS = 5_000;
const IN_FLIGHT = 256;
const COMPLETE_WITHIN_MS = 120_000;

export const storm: Bench = {
  name: "storm",
  work:
    "Real databases, 3,000 sockets of 10 tenants, 10 devices each, cut at once, come back with `since` 30 s ago, while " +
    "300 others stay; poll 1 s",
  async run({ scale, say }) {
    const sockets = Math.max(TENANTS, Math.round(SOCKETS * scale));
    const staying = Math.max(TENANTS, Math.round(STAYING * scale));
    say("starting databases, writer and service");
    await using world = await World.open({
      tenants: TENANTS,
      devicesOfTenant: DEVICES_OF_TENANT,
      pollSeconds: POLL_MS / 1_000,
    });
    const { port } = world.service;
    const startedAt = Date.now();
    const options = {
      tenants: TENANTS,
      devicesPerSocket: DEVICES,
      devicesOfTenant: DEVICES_OF_TENANT,
      isEvery: false,
    };
    await using load = new Load({ ...options, maxSockets: sockets });
    await using others = new Load({ ...options, maxSockets: staying });
    const tokens = await tenantTokens(TENANTS);
    const order = { port, path: SOCKET_PATH, tokens, inFlight: IN_FLIGHT };
    const live = { devices: true, alerts: false };
    await others.connect({ ...order, count: staying, follow: live });
    say(`connecting ${sockets} sockets`);
    const handshakeMs = await load.connect({ ...order, count: sockets, follow: live });
    await pause(NORMAL_MS);
    await others.read();
    await pause(NORMAL_MS);
    const normal = percentileOf((await others.read()).ages, 99);
    await pause(Math.max(0, startedAt + AWAY_MS - Date.now()));

    say("cutting all of them");
    await load.cut(sockets);
    await load.read();
    await others.read();
    const since = new Date(Date.now() - AWAY_MS).toISOString();
    const backAt = performance.now();
    await load.connect({
      ...order,
      count: sockets,
      follow: { ...live, options: { since } },
    });
    const openMs = performance.now() - backAt;
    let samples = 0;
    let ends = 0;
    let updates = 0;
    const devices = sockets * DEVICES;
    while (ends < devices || updates < devices) {
      if (performance.now() - backAt > COMPLETE_WITHIN_MS) {
        throw new Error(`${ends} of ${devices} histories came, and ${updates} updates`);
      }
      const reading = await load.read();
      samples += reading.historySamples;
      ends += reading.historyEnds;
      updates += reading.updates;
      await pause(20);
    }
    const backMs = performance.now() - backAt;
    await pause(2 * POLL_MS);
    const { fewest } = await load.read();
    if (fewest === 0) throw new Error("A socket that came back gets nothing");
    const during = percentileOf((await others.read()).ages, 99);
    const least = Math.floor(AWAY_MS / 1_000 * 0.8);
    if (samples < devices * least) {
      throw new Error(
        `History has ${samples / devices} samples a device, at least ${least} were due`,
      );
    }
    return [
      {
        what: "control: the same handshakes without `since`",
        value: `${whole(handshakeMs)} ms`,
        isMet: null,
      },
      {
        what: "all open and subscribed again",
        value: `${whole(openMs)} ms`,
        ratio: `${(openMs / handshakeMs).toFixed(2)} ×`,
        isMet: null,
      },
      {
        what: "all live again, history complete",
        value: `${whole(backMs)} ms, ${whole(samples)} samples without a gap`,
        ratio: `${(backMs / handshakeMs).toFixed(2)} ×`,
        goal: "≤ 3 ×",
        isMet: backMs <= 3 * handshakeMs,
      },
      {
        what: "write → client of those that stayed, p99",
        value: `${whole(during)} ms (${whole(normal)} ms before)`,
        ratio: `${(during / normal).toFixed(2)} ×`,
        goal: "≤ 2 ×",
        isMet: during <= 2 * normal,
      },
    ];
  },
};
