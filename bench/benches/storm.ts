// What happens when everybody comes back at once and asks for what was missed.
import type { Bench } from "../bench.ts";
import { expectRenewed, Load } from "../load/load.ts";
import type { FollowOrder } from "../load/load_process.ts";
import { pause } from "../pause.ts";
import { Rounds, type Turn } from "../rounds.ts";
import { SOCKET_PATH } from "../service.ts";
import { percentileOf, whole } from "../statistics.ts";
import { tenantTokens } from "../tokens.ts";
import { DEVICES_OF_TENANT, POLL_MS, sharedWorld, TENANTS } from "../world.ts";

const DEVICES = 10;
const SOCKETS = 3_000;
const STAYING = 300;
const AWAY_MS = 30_000;
const CALM_MS = 3_000;
/** Handshakes under way at once; nobody waits for the answers of others. */
const IN_FLIGHT = 256;
const LOOK_MS = 50;
const COMPLETE_WITHIN_MS = 120_000;

/** What came since a storm began. */
interface Coming {
  readonly answers: number;
  readonly samples: number;
  readonly ends: number;
}

export const storm: Bench = {
  name: "storm",
  shares: [sharedWorld.name],
  work:
    "Real databases, 3,000 sockets of 10 tenants, 10 devices each, cut at once, come back with `since` 30 s ago, while " +
    "300 others stay; poll 1 s. Control: the same without `since`",
  async run({ scale, rounds, say, shared }) {
    const sockets = Math.max(TENANTS, Math.round(SOCKETS * scale));
    const staying = Math.max(TENANTS, Math.round(STAYING * scale));
    const devices = sockets * DEVICES;
    say("starting databases, writer and service");
    const world = await shared.get(sharedWorld);
    const { service: { port, process }, openedAt } = world;
    const options = {
      tenants: TENANTS,
      devicesPerSocket: DEVICES,
      devicesOfTenant: DEVICES_OF_TENANT,
      isEvery: false,
      mayLackValues: true,
    };
    await using load = new Load({ ...options, maxSockets: sockets });
    await using others = new Load({ ...options, maxSockets: staying });
    const tokens = await tenantTokens(TENANTS);
    const order = { port, path: SOCKET_PATH, tokens, inFlight: IN_FLIGHT };
    const live = { devices: true, alerts: false };
    say(`connecting ${sockets} sockets`);
    await others.connect({ ...order, count: staying, follow: live });
    await load.connect({ ...order, count: sockets, follow: live });
    await pause(Math.max(0, openedAt + AWAY_MS - Date.now()));

    /** Cuts everybody and lets them come back, until what came is all there is to come. */
    const comeBack = async (
      follow: FollowOrder,
      isComplete: (coming: Coming) => boolean,
    ): Promise<Turn & Coming> => {
      await load.cut(sockets);
      await load.read();
      const spentBefore = (await process.usage()).cpuSeconds;
      const from = performance.now();
      const connecting = { ...order, count: sockets, follow, isAnswerAwaited: false };
      const openMs = await load.connect(connecting);
      let coming = { answers: 0, samples: 0, ends: 0 };
      while (!isComplete(coming)) {
        if (performance.now() - from > COMPLETE_WITHIN_MS) {
          throw new Error(`Of ${devices} devices there came only ${JSON.stringify(coming)}`);
        }
        await pause(LOOK_MS);
        const reading = await load.read();
        coming = {
          answers: coming.answers + reading.answers,
          samples: coming.samples + reading.historySamples,
          ends: coming.ends + reading.historyEnds,
        };
      }
      const ms = performance.now() - from;
      const cpuMs = 1_000 * ((await process.usage()).cpuSeconds - spentBefore);
      return { openMs, ms, cpuMs, ...coming };
    };
    const turns = {
      async control() {
        await others.read();
        await pause(CALM_MS);
        const ageMs = percentileOf((await others.read()).ages, 99);
        return { ...await comeBack(live, ({ answers }) => answers === sockets), ageMs };
      },
      async storm(round: number) {
        say(round === 0 ? "cutting all of them once, to warm up" : `cutting all, round ${round}`);
        await others.read();
        // Its samples are a part of a millisecond younger than it.
        const { n, at } = world.roundSince(Date.now() - AWAY_MS);
        const turn = await comeBack(
          { ...live, options: { since: new Date(at).toISOString() }, historyFrom: n },
          ({ answers, ends }) => answers === sockets && ends >= devices,
        );
        await pause(2 * POLL_MS);
        const { fewest } = await load.read();
        if (fewest === 0) throw new Error("A socket that came back gets nothing");
        const least = Math.floor(AWAY_MS / 1_000 * 0.8);
        const each = turn.samples / devices;
        if (each < least) {
          throw new Error(`History has ${each} samples a device, at least ${least} were due`);
        }
        const stayed = await others.read();
        expectRenewed(stayed, staying * DEVICES);
        if (stayed.fewest < DEVICES * stayed.ms / POLL_MS / 2) {
          throw new Error(`One that stayed got ${stayed.fewest} updates in ${stayed.ms} ms`);
        }
        return { ...turn, ageMs: percentileOf(stayed.ages, 99) };
      },
    };
    const compared = new Rounds("control");
    await compared.measure(new Map(Object.entries(turns)), rounds);
    const all = compared.of("storm", "ms", whole);
    const cpu = compared.of("storm", "cpuMs", whole);
    const age = compared.of("storm", "ageMs", whole);
    const calm = compared.of("control", "ageMs", whole);
    return [
      {
        what: "control: all open and subscribed without `since`",
        value: `${whole(compared.of("control", "ms").median)} ms`,
        spread: compared.of("control", "ms", whole).spread,
        isMet: null,
      },
      {
        what: "all live again, history complete",
        value: `${whole(all.median)} ms, ${
          whole(compared.of("storm", "samples").median)
        } samples without a gap`,
        ratio: `${all.ratio.toFixed(2)} ×`,
        spread: all.ratioSpread,
        goal: "≤ 3 ×",
        isMet: all.ratio <= 3,
      },
      {
        what: "processor time of the service until then",
        value: `${whole(cpu.median)} ms`,
        ratio: `${cpu.ratio.toFixed(2)} ×`,
        spread: cpu.ratioSpread,
        isMet: null,
      },
      {
        what: "write → client of those that stayed, p99",
        value: `${whole(age.median)} ms (${whole(calm.median)} ms before)`,
        ratio: `${age.ratio.toFixed(2)} ×`,
        spread: age.ratioSpread,
        goal: "≤ 2 ×",
        isMet: age.ratio <= 2,
      },
    ];
  },
};
