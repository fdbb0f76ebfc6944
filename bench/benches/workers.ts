// What a second thread for sockets brings, with databases that cost nothing and the load client on the same cores.
import type { Bench, Row } from "../bench.ts";
import { Rounds } from "../rounds.ts";
import { SOCKET_PATH, startService } from "../service.ts";
import { whole } from "../statistics.ts";
import { tenantTokens } from "../tokens.ts";
import { openVariant } from "./fanout.ts";

const SOCKETS = 1_000;
const DEVICES = 20;
const TURN_MS = 1_200;
const SYNTHETIC = { devices: DEVICES, changingPercent: 100, readMs: 0, samplesPerSecond: 0 };

export const workers: Bench = {
  name: "workers",
  work:
    "The fan-out of one tenant to 1,000 sockets of 20 devices each, by one thread and by two workers with a keeper; the " +
    "load client runs on the same cores",
  async run({ scale, rounds, say }) {
    const sockets = Math.max(10, Math.round(SOCKETS * scale));
    const turnMs = Math.max(300, TURN_MS * scale);
    await using cleanup = new AsyncDisposableStack();
    const tokens = await tenantTokens(1);
    const open = async (WORKERS: string) => {
      const options = { synthetic: SYNTHETIC, pollMs: 10, isHeld: true };
      return cleanup.use(
        await openVariant(await startService(options, { WORKERS }), {
          sockets,
          turnMs,
          path: SOCKET_PATH,
          tokens,
          follow: { devices: true, alerts: false },
        }),
      );
    };
    say(`opening 2 × ${sockets} sockets`);
    const variants = { one: await open("1"), two: await open("2") };
    const compared = new Rounds("one");
    say(`measuring ${rounds} rounds`);
    await compared.measure(
      new Map(Object.entries(variants).map(([name, variant]) => [name, () => variant.turn()])),
      rounds,
    );
    const row = (what: string, name: "one" | "two"): Row => {
      const rate = compared.of(name, "rate");
      const perCore = compared.of(name, "perServerCore");
      const cores = rate.median / perCore.median;
      const client = compared.of(name, "clientCores").median;
      const value = `${whole(rate.median)} updates/s by ${cores.toFixed(2)} core, ` +
        `${whole(perCore.median)} a core; client ${client.toFixed(2)} core`;
      return name === "one"
        ? { what, value, spread: compared.of(name, "rate", whole).spread, isMet: null }
        : {
          what,
          value,
          ratio: `${rate.ratio.toFixed(2)} ×`,
          spread: rate.ratioSpread,
          isMet: null,
        };
    };
    return [row("WORKERS=1", "one"), row("WORKERS=2", "two")];
  },
};
