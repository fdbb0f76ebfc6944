// What an open socket costs in memory: connected, and subscribed.
import type { Bench, Row } from "../bench.ts";
import { Load } from "../load/load.ts";
import { Rounds, type Turn } from "../rounds.ts";
import { SOCKET_PATH, startControl, startService, type Subject } from "../service.ts";
import type { Holding } from "../subjects/service_entry.ts";
import { tenantTokens } from "../tokens.ts";

const SOCKETS = 5_000;
const DEVICES = 10;
const DEVICES_OF_TENANT = 50;
const TENANTS = 10;

export const idle: Bench = {
  name: "idle",
  work:
    "5,000 sockets, connected, then subscribed to 10 devices and alerts: resident memory for each, after the " +
    "garbage is collected, in processes that are new each round; the control is bare Deno.serve with the engines' idle " +
    "time-out",
  async run({ scale, rounds, say }) {
    const sockets = Math.max(50, Math.round(SOCKETS * scale));
    const tokens = await tenantTokens(TENANTS);
    const turn = async (
      start: () => Promise<Subject>,
      { path, tokens, follows }: { path: string; tokens: readonly string[]; follows: boolean },
    ): Promise<Turn> => {
      const { process, port } = await start();
      await using _process = process;
      await using load = new Load({
        maxSockets: sockets,
        tenants: TENANTS,
        devicesPerSocket: DEVICES,
        devicesOfTenant: DEVICES_OF_TENANT,
        isEvery: false,
      });
      const resident = async () => (await process.ask<Holding>(["holding"])).residentBytes;
      const connect = (count: number) => load.connect({ port, path, tokens, count, inFlight: 64 });
      // What is made once is made by the first sockets.
      await connect(Math.min(50, sockets));
      await load.close();
      const before = await resident();
      await connect(sockets);
      const connected = (await resident() - before) / sockets;
      if (follows) await load.follow({ devices: true, alerts: true });
      const subscribed = follows ? (await resident() - before) / sockets : connected;
      const { open } = await load.read();
      if (open !== sockets) throw new Error(`${open} of ${sockets} sockets left`);
      return { connected, subscribed };
    };
    const service = (WS_ENGINE: string) => () =>
      startService({
        synthetic: {
          devices: DEVICES_OF_TENANT,
          changingPercent: 0,
          readMs: 1,
          samplesPerSecond: 0,
        },
      }, { WS_ENGINE, WS_POLL_SECONDS: "60" });
    const compared = new Rounds("control", { discarded: 0 });
    const bare = (idleTimeout: "as the service" | "none") => () =>
      turn(() => startControl(1, { idleTimeout }), { path: "/", tokens: [""], follows: false });
    say(`${rounds} rounds of 4 × ${sockets} sockets`);
    // Beside each other: what a process holds does not depend on what others do.
    await compared.measureTogether(
      new Map([
        ["control", bare("as the service")],
        ["untimed", bare("none")],
        ["ws", () => turn(service("ws"), { path: SOCKET_PATH, tokens, follows: true })],
        ["deno", () => turn(service("deno"), { path: SOCKET_PATH, tokens, follows: true })],
      ]),
      rounds,
    );
    const kib = (bytes: number) => (bytes / 1_024).toFixed(1);
    const row = (
      name: string,
      { what, figure, most }: { what: string; figure: string; most?: number },
    ): Row => {
      const { median, ratio, ratioSpread, spread } = compared.of(name, figure, kib);
      return {
        what,
        value: `${kib(median)} KiB a socket`,
        ...(name === "control"
          ? { spread }
          : { ratio: `${ratio.toFixed(2)} ×`, spread: ratioSpread }),
        ...(most === undefined ? {} : { goal: `≤ ${most} ×` }),
        isMet: most === undefined ? null : ratio <= most,
      };
    };
    return [
      row("control", { what: "control: bare Deno.serve", figure: "connected" }),
      row("untimed", { what: "bare Deno.serve without an idle time-out", figure: "connected" }),
      row("ws", { what: "ws engine, connected", figure: "connected", most: 1.2 }),
      row("ws", { what: "ws engine, subscribed", figure: "subscribed", most: 1.5 }),
      row("deno", { what: "deno engine, connected", figure: "connected", most: 1.2 }),
      row("deno", { what: "deno engine, subscribed", figure: "subscribed", most: 1.5 }),
    ];
  },
};
