// How many clients a second are let in, by how their tokens are verified.
import type { Bench, Row } from "../bench.ts";
import type { Child } from "../child.ts";
import { Load } from "../load/load.ts";
import { pause } from "../pause.ts";
import { Rounds, type Turn } from "../rounds.ts";
import { SOCKET_PATH, startControl, startService, type Subject } from "../service.ts";
import { whole } from "../statistics.ts";
import { differentTokens } from "../tokens.ts";
import { generateSigner, type Signer } from "../../tests/support/tokens.ts";
import { LEAST_CPU_SECONDS } from "../usage.ts";

const SOCKETS = 1_000;
/** A turn is over in a tenth of a second, which whatever else the machine does makes shorter or longer: so many for one. */
const TURNS_FOR_ONE = 3;
const IN_FLIGHT = 64;
/** Turns of each subject before its first round: the engine compiles what it runs often, which takes some thousands. */
const WARM_TURNS = 2;

/** A process that spends no more than this in two looks in a row has nothing left to do; one tick of the system is 10 ms. */
const IDLE_CPU_SECONDS = 0.015;
const IDLE_LOOK_MS = 100;

export const handshake: Bench = {
  name: "handshake",
  work:
    "1,000 connections, 64 under way at once, each with a token of its own or all with one that was seen before, HS256 " +
    "and RS256 (keys by JWKS); the control upgrades whoever comes on a bare Deno.serve, with the engines' idle time-out",
  async run({ scale, rounds: asked, say }) {
    const rounds = TURNS_FOR_ONE * asked;
    const sockets = Math.max(20, Math.round(SOCKETS * scale));
    const turns = WARM_TURNS + rounds + 1;
    say("signing tokens");
    const signer = await generateSigner("RS256", "bench");
    const issuer = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => Response.json({ keys: [signer.jwk] }),
    );
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(() => issuer.shutdown());
    const JWKS_URL = `http://127.0.0.1:${issuer.addr.port}/keys`;
    const synthetic = { devices: 1, changingPercent: 0, readMs: 1, samplesPerSecond: 0 };
    const subject = async (starting: Promise<Subject>) => {
      const started = await starting;
      cleanup.use(started.process);
      const load = cleanup.use(
        new Load({
          maxSockets: sockets,
          tenants: 1,
          devicesPerSocket: 1,
          devicesOfTenant: 1,
          isEvery: false,
        }),
      );
      return { ...started, load };
    };
    const service = (settings: Readonly<Record<string, string>>) =>
      subject(startService({ synthetic }, { WS_POLL_SECONDS: "60", ...settings }));
    const control = await subject(startControl(1));
    const untimed = await subject(
      startControl(1, { idleTimeout: "none", features: "as the service" }),
    );
    const ws = await service({ WS_ENGINE: "ws" });
    const deno = await service({ WS_ENGINE: "deno" });
    const wsJwks = await service({ WS_ENGINE: "ws", JWKS_URL });
    const turn = async (
      { process, port, load }: Awaited<ReturnType<typeof subject>>,
      { path, tokens }: { readonly path: string; readonly tokens: readonly string[] },
    ): Promise<Turn> => {
      const before = (await process.usage()).cpuSeconds;
      const ms = await load.connect({ port, path, tokens, count: sockets, inFlight: IN_FLIGHT });
      const spent = (await process.usage()).cpuSeconds - before;
      // A turn that is shorter than the accounts can tell is only there to try the way.
      const cpuSeconds = Math.max(spent, LEAST_CPU_SECONDS);
      await load.close();
      await untilIdle(process);
      return { rate: sockets / ms * 1_000, perCore: sockets / cpuSeconds };
    };
    const fresh = async (signer?: Signer) => {
      const tokens = await differentTokens(sockets * turns, signer);
      return () => tokens.splice(0, sockets);
    };
    const [seenHs = ""] = await differentTokens(1);
    const [seenRs = ""] = await differentTokens(1, signer);
    const hs = await fresh();
    const hsDeno = await fresh();
    const rs = await fresh(signer);
    const compared = new Rounds("control");
    const path = SOCKET_PATH;
    const subjects = new Map<string, () => Promise<Turn>>([
      ["control", () => turn(control, { path: "/", tokens: [""] })],
      ["untimed", () => turn(untimed, { path: "/", tokens: [""] })],
      ["hs256", () => turn(ws, { path, tokens: hs() })],
      ["hs256 seen", () => turn(ws, { path, tokens: [seenHs] })],
      ["rs256", () => turn(wsJwks, { path, tokens: rs() })],
      ["rs256 seen", () => turn(wsJwks, { path, tokens: [seenRs] })],
      ["deno hs256", () => turn(deno, { path, tokens: hsDeno() })],
      ["deno hs256 seen", () => turn(deno, { path, tokens: [seenHs] })],
    ]);
    say("warming up");
    for (const warm of subjects.values()) {
      for (let nth = 0; nth < WARM_TURNS; nth++) await warm();
    }
    say(`${rounds + 1} rounds`);
    await compared.measure(subjects, rounds);
    const row = (name: string, { what, least }: { what: string; least?: number }): Row => {
      const { median, ratio, ratioSpread, spread } = compared.of(name, "rate", whole);
      const perCore = compared.of(name, "perCore");
      const isControl = name === "control";
      return {
        what,
        value: `${whole(median)} a second, ${whole(perCore.median)} a core${
          isControl ? "" : ` (${perCore.ratio.toFixed(2)} × control's)`
        }`,
        ...(isControl ? { spread } : { ratio: `${ratio.toFixed(2)} ×`, spread: ratioSpread }),
        ...(least === undefined ? {} : { goal: `≥ ${least} ×` }),
        isMet: least === undefined ? null : ratio >= least,
      };
    };
    return [
      row("control", { what: "control: bare upgrade" }),
      row("untimed", { what: "bare upgrade without an idle time-out, with no-legacy-abort" }),
      row("hs256", { what: "ws engine, HS256, fresh tokens", least: 0.7 }),
      row("hs256 seen", { what: "ws engine, HS256, a token seen before", least: 0.7 }),
      row("rs256", { what: "ws engine, RS256 by JWKS, fresh tokens" }),
      row("rs256 seen", { what: "ws engine, RS256 by JWKS, a token seen before", least: 0.7 }),
      row("deno hs256", { what: "deno engine, HS256, fresh tokens", least: 0.7 }),
      row("deno hs256 seen", { what: "deno engine, HS256, a token seen before", least: 0.7 }),
    ];
  },
};

/** What ending the sockets of one turn costs must not be counted to the next one of the same process. */
async function untilIdle(process: Child): Promise<void> {
  let { cpuSeconds: before } = await process.usage();
  for (let idleLooks = 0; idleLooks < 2;) {
    await pause(IDLE_LOOK_MS);
    const { cpuSeconds } = await process.usage();
    idleLooks = cpuSeconds - before <= IDLE_CPU_SECONDS ? idleLooks + 1 : 0;
    before = cpuSeconds;
  }
}
