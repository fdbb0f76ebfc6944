// What the service spends when little changes, when nobody looks, and on what does not exist: its processor time, what it
// sends and what it asks the database.
import type { Bench, Row } from "../bench.ts";
import { expectRenewed, Load } from "../load/load.ts";
import type { FollowOrder } from "../load/load_process.ts";
import { pause } from "../pause.ts";
import { Rounds, type Turn } from "../rounds.ts";
import { SOCKET_PATH, startService } from "../service.ts";
import { whole } from "../statistics.ts";
import type { Reads } from "../subjects/service_entry.ts";
import { tenantTokens } from "../tokens.ts";

const SOCKETS = 2_500;
const DEVICES = 20;
const DEVICES_OF_TENANT = 100;
const TENANTS_LEFT = 200;
const POLL_MS = 500;
const TURN_MS = 3_000;
/** Longer than a feed without anybody goes on. */
const SETTLE_MS = 2_500;

interface Case {
  readonly name: string;
  readonly changingPercent: number;
  readonly follow: FollowOrder | null;
  /** Of the first case's processor time, bytes and reads. */
  readonly most?: { readonly cores?: number; readonly bytes?: number; readonly reads?: number };
  /** Tenants whose sockets have followed as much and have left. */
  readonly tenantsLeft?: number;
}

const follow = { devices: true, alerts: false };
const changes = { ...follow, options: { changes_only: true } };
const CASES: readonly [Case, ...Case[]] = [
  { name: "control: all new at every tick", changingPercent: 100, follow },
  { name: "nothing new, every tick sent", changingPercent: 0, follow },
  {
    name: "10 of 100 new, changes only",
    changingPercent: 10,
    follow: changes,
    most: { cores: 0.5, bytes: 0.2 },
  },
  {
    name: "nothing new, changes only",
    changingPercent: 0,
    follow: changes,
    most: { cores: 0.5, bytes: 0.01 },
  },
  {
    name: `10 of 100 new, changes only, and ${TENANTS_LEFT} tenants whose sockets have left`,
    changingPercent: 10,
    follow: changes,
    tenantsLeft: TENANTS_LEFT,
    most: { cores: 0.5, bytes: 0.2, reads: 1.1 },
  },
  {
    name: "devices that do not exist",
    changingPercent: 100,
    follow: { ...follow, deviceOffset: 500 },
    most: { cores: 0.5, bytes: 0.01, reads: 1.1 },
  },
  {
    name: "connected, following nothing",
    changingPercent: 100,
    follow: null,
    most: { cores: 0.5, bytes: 0.01, reads: 0 },
  },
];

export const change: Bench = {
  name: "change",
  work:
    "2,500 sockets that follow 20 of 100 devices each, poll 0.5 s, each case on a service of its own, all at the same " +
    "time: what it spends by what changes; the control has every device new at every tick",
  async run({ scale, rounds, say }) {
    const sockets = Math.max(10, Math.round(SOCKETS * scale));
    await using cleanup = new AsyncDisposableStack();
    const tokens = await tenantTokens(1 + TENANTS_LEFT);
    const open = async (one: Case) => {
      const { changingPercent, follow, tenantsLeft = 0 } = one;
      const due = dueOf(one, sockets);
      const { process, port } = await startService({
        synthetic: { devices: DEVICES_OF_TENANT, changingPercent, readMs: 1, samplesPerSecond: 0 },
      }, { WS_POLL_SECONDS: String(POLL_MS / 1_000) });
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
      const order = {
        port,
        path: SOCKET_PATH,
        inFlight: 64,
        ...(follow === null ? {} : { follow }),
      };
      if (tenantsLeft > 0) {
        await using left = new Load({
          maxSockets: tenantsLeft,
          tenants: tenantsLeft,
          firstTenant: 1,
          devicesPerSocket: DEVICES,
          devicesOfTenant: DEVICES_OF_TENANT,
          isEvery: false,
        });
        await left.connect({ ...order, tokens: tokens.slice(1), count: tenantsLeft });
        await left.close();
      }
      await load.connect({ ...order, tokens: tokens.slice(0, 1), count: sockets });
      return async (): Promise<Turn> => {
        await load.read();
        await process.ask<Reads>(["reads"]);
        const before = (await process.usage()).cpuSeconds;
        await pause(TURN_MS);
        const reading = await load.read();
        const { telemetry } = await process.ask<Reads>(["reads"]);
        const seconds = reading.ms / 1_000;
        expectRenewed(reading, due.renewed);
        if (reading.fewest < due.fewest) {
          throw new Error(
            `A socket got ${reading.fewest} updates, at least ${due.fewest} were due`,
          );
        }
        return {
          millicores: ((await process.usage()).cpuSeconds - before) / seconds * 1_000,
          rate: reading.updates / seconds,
          bytes: reading.bytes / seconds,
          reads: telemetry / (reading.ms / POLL_MS),
        };
      };
    };
    say(`opening ${sockets} sockets for each of ${CASES.length} cases`);
    const opened = new Map<string, () => Promise<Turn>>();
    for (const one of CASES) opened.set(one.name, await open(one));
    await pause(SETTLE_MS);
    const [{ name: control }] = CASES;
    const compared = new Rounds(control);
    say(`${rounds + 1} rounds`);
    await compared.measureTogether(opened, rounds);
    return CASES.map(({ name, most }): Row => {
      const cores = compared.of(name, "millicores", (value) => value.toFixed(0));
      const bytes = compared.of(name, "bytes");
      const reads = compared.of(name, "reads");
      const goals = [
        ...(most?.cores === undefined ? [] : [`≤ ${most.cores} × core`]),
        ...(most?.bytes === undefined ? [] : [`≤ ${most.bytes} × bytes`]),
        ...(most?.reads === undefined ? [] : [`≤ ${most.reads} reads a tick`]),
      ];
      return {
        what: name,
        value: `${cores.median.toFixed(0)} thousandths of a core, ${
          whole(compared.of(name, "rate").median)
        } updates/s, ${whole(bytes.median / 1_024)} KiB/s, ${reads.median.toFixed(2)} reads a tick`,
        ...(name === control ? { spread: cores.spread } : {
          ratio: `${cores.ratio.toFixed(2)} × core, ${bytes.ratio.toFixed(3)} × bytes`,
          spread: cores.ratioSpread,
        }),
        ...(goals.length === 0 ? {} : { goal: goals.join(", ") }),
        isMet: most === undefined ? null : cores.ratio <= (most.cores ?? Infinity) &&
          bytes.ratio <= (most.bytes ?? Infinity) && reads.median <= (most.reads ?? Infinity),
      };
    });
  },
};

/** What must come in a turn: devices of sockets with something new, and updates to the socket with the fewest. */
function dueOf(
  { changingPercent, follow }: Case,
  sockets: number,
): { readonly renewed: number; readonly fewest: number } {
  if (follow === null || follow.deviceOffset !== undefined) return { renewed: 0, fewest: 0 };
  let renewed = 0;
  for (let nth = 0; nth < sockets * DEVICES; nth++) {
    if (nth % DEVICES_OF_TENANT < changingPercent) renewed++;
  }
  return { renewed, fewest: follow.options === undefined ? DEVICES : 0 };
}
