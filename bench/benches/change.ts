// What the service spends when little changes, when nobody looks, and on what does not exist.
import type { Bench, Row } from "../bench.ts";
import { Load } from "../load/load.ts";
import type { FollowOrder } from "../load/load_process.ts";
import { pause } from "../pause.ts";
import { Rounds, type Turn } from "../rounds.ts";
import { SOCKET_PATH, startService } from "../service.ts";
import { tenantTokens } from "../tokens.ts";

const SOCKETS = 1_000;
const DEVICES = 20;
const DEVICES_OF_TENANT = 100;
const TURN_MS = 3_000;

export const change: Bench = {
  name: "change",
  work:
    "1,000 sockets that follow 20 of 100 devices each, poll 0.5 s: processor time of the service by what changes; the " +
    "control has every device new at every tick",
  async run({ scale, rounds, say }) {
    const sockets = Math.max(10, Math.round(SOCKETS * scale));
    await using cleanup = new AsyncDisposableStack();
    const tokens = await tenantTokens(1);
    const open = async (
      { changingPercent, follow }: { changingPercent: number; follow: FollowOrder | null },
    ): Promise<() => Promise<Turn>> => {
      const { process, port } = await startService({
        synthetic: {
          devices: DEVICES_OF_TENANT,
          changingPercent,
          readMs: 1,
          samplesPerSecond: 0,
        },
      }, { WS_POLL_SECONDS: "0.5" });
      cleanup.use(process);
      const load = cleanup.use(
        new Load({
          maxSockets: sockets,
          tenants: 1,
          devicesPerSocket: DEVICES,
          devicesOfTenant: DEVICES_OF_TENANT,
          isEvery: false,
        }),
      );
      await load.connect({
        port,
        path: SOCKET_PATH,
        tokens,
        count: sockets,
        inFlight: 64,
        ...(follow === null ? {} : { follow }),
      });
      return async () => {
        await load.read();
        const before = (await process.usage()).cpuSeconds;
        await pause(TURN_MS);
        const reading = await load.read();
        const seconds = reading.ms / 1_000;
        return {
          millicores: ((await process.usage()).cpuSeconds - before) / seconds * 1_000,
          rate: reading.updates / seconds,
        };
      };
    };
    const follow = { devices: true, alerts: false };
    const changes = { ...follow, options: { changes_only: true } };
    const subjects: Array<readonly [string, Parameters<typeof open>[0]]> = [
      ["all new at every tick", { changingPercent: 100, follow: changes }],
      ["10 of 100 new, changes only", { changingPercent: 10, follow: changes }],
      ["nothing new, changes only", { changingPercent: 0, follow: changes }],
      ["devices that do not exist", {
        changingPercent: 100,
        follow: { ...follow, deviceOffset: 5_000 },
      }],
      ["connected, following nothing", { changingPercent: 100, follow: null }],
    ];
    const opened = new Map<string, () => Promise<Turn>>();
    for (const [name, options] of subjects) opened.set(name, await open(options));
    const [[control]] = subjects as [typeof subjects[number]];
    const compared = new Rounds(control);
    say(`${rounds + 1} rounds`);
    await compared.measure(opened, rounds);
    return [...opened.keys()].map((name): Row => {
      const { median, ratio, ratioSpread, spread } = compared.of(
        name,
        "millicores",
        (value) => value.toFixed(0),
      );
      const rate = compared.of(name, "rate").median;
      const isControl = name === control;
      return {
        what: name,
        value: `${median.toFixed(0)} thousandths of a core, ${rate.toFixed(0)} updates/s`,
        ...(isControl
          ? { spread }
          : { ratio: `${ratio.toFixed(2)} ×`, spread: ratioSpread, goal: "≤ 0.5 ×" }),
        isMet: isControl ? null : ratio <= 0.5,
      };
    });
  },
};
