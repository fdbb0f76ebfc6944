// An engine on a free port with a path for sockets and a ledger of what the engine reported; it must know no engine.
import { frameOf } from "../../src/protocol/frame.ts";
import type {
  Admission,
  Engine,
  EngineLimits,
  EngineOptions,
  Handshake,
  Socket,
} from "../../src/sockets/socket.ts";
import { TestClient } from "../support/client.ts";
import { until } from "../support/until.ts";
import { RawPeer } from "./raw_peer.ts";

export type ServeEngine = (options: EngineOptions) => Engine | Promise<Engine>;

export const PATH = "/ws";

/** Limits that no test crosses unless it says so, and that end nothing as soon as SOON_MS. */
export const ROOMY: EngineLimits = {
  maxMessageBytes: 1 << 20,
  maxSockets: 1_000,
  headerTimeoutMs: 60_000,
  keepAliveTimeoutMs: 60_000,
  pingIntervalMs: 60_000,
};

/** Far more than the time-outs that a test sets take on a busy machine, and far less than those of ROOMY. */
export const SOON_MS = 25_000;

/** One socket that the engine opened, with everything that the engine reported of it. */
export interface Accepted {
  readonly socket: Socket;
  readonly texts: string[];
  readonly closes: number[];
  binaries: number;
}

/** What a test wants different; each may be changed while the engine runs. */
export interface Conduct {
  fetch: (request: Request) => Response | Promise<Response>;
  admit: (handshake: Handshake, upgrade: () => Admission) => Admission | Promise<Admission>;
  opened: (accepted: Accepted) => void;
  text: (data: string, accepted: Accepted) => void;
  binary: (accepted: Accepted) => void;
  closed: (accepted: Accepted) => void;
}

export class EngineHarness implements AsyncDisposable {
  readonly engine: Engine;
  readonly accepted: Accepted[];
  readonly handshakes: Handshake[];
  readonly faults: Array<{ readonly fault: string; readonly error: unknown }>;
  readonly fetched: string[];
  /** Limits that the engine reported as crossed. */
  readonly crossings: string[];
  readonly abandoned: () => number;
  readonly conduct: Conduct;

  private constructor(
    engine: Engine,
    state: Pick<
      EngineHarness,
      "accepted" | "handshakes" | "faults" | "fetched" | "crossings" | "conduct" | "abandoned"
    >,
  ) {
    this.engine = engine;
    this.accepted = state.accepted;
    this.handshakes = state.handshakes;
    this.faults = state.faults;
    this.fetched = state.fetched;
    this.crossings = state.crossings;
    this.conduct = state.conduct;
    this.abandoned = state.abandoned;
  }

  static async start(
    serve: ServeEngine,
    { limits = {}, tls = null, protocol = null, ...conduct }: Partial<Conduct> & {
      limits?: Partial<EngineLimits>;
      tls?: EngineOptions["tls"];
      protocol?: string | null;
    } = {},
  ): Promise<EngineHarness> {
    let abandoned = 0;
    const state = {
      accepted: [] as Accepted[],
      handshakes: [] as Handshake[],
      faults: [] as EngineHarness["faults"],
      fetched: [] as string[],
      crossings: [] as string[],
      abandoned: () => abandoned,
      conduct: {
        fetch: (request) =>
          new Response(`fetched ${new URL(request.url).pathname}`, { status: 418 }),
        admit: (_, upgrade) => upgrade(),
        opened: () => {},
        text: () => {},
        binary: () => {},
        closed: () => {},
        ...conduct,
      } satisfies Conduct as Conduct,
    };
    const opened = (socket: Socket) => {
      const accepted: Accepted = { socket, texts: [], closes: [], binaries: 0 };
      state.accepted.push(accepted);
      state.conduct.opened(accepted);
      return {
        text(data: string) {
          accepted.texts.push(data);
          state.conduct.text(data, accepted);
        },
        binary() {
          accepted.binaries++;
          state.conduct.binary(accepted);
        },
        closed(code: number) {
          accepted.closes.push(code);
          state.conduct.closed(accepted);
        },
      };
    };
    const upgrade = (): Admission => ({
      kind: "upgrade",
      protocol,
      opened,
      abandoned: () => void abandoned++,
    });
    const engine = await serve({
      hostname: "127.0.0.1",
      port: 0,
      path: PATH,
      limits: { ...ROOMY, ...limits },
      tls,
      fetch(request) {
        const { pathname } = new URL(request.url);
        state.fetched.push(`${request.method} ${pathname}`);
        return state.conduct.fetch(request);
      },
      async admit(handshake) {
        state.handshakes.push(handshake);
        return await state.conduct.admit(handshake, upgrade);
      },
      crossed: (limit) => void state.crossings.push(limit),
      failed: (fault, error) => void state.faults.push({ fault, error }),
    });
    return new EngineHarness(engine, state);
  }

  get url(): string {
    return `ws://127.0.0.1:${this.engine.port}${PATH}`;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.engine.port}`;
  }

  async connect(protocols?: string[]): Promise<[client: TestClient, accepted: Accepted]> {
    const before = this.accepted.length;
    const client = await TestClient.connect(this.url, protocols);
    return [client, await this.#next(before)];
  }

  async connectRaw(headers: readonly string[] = []): Promise<[peer: RawPeer, accepted: Accepted]> {
    const before = this.accepted.length;
    const peer = await RawPeer.upgrade(this.engine.port, PATH, headers);
    return [peer, await this.#next(before)];
  }

  /** Whether a new client can still come in, speak and be answered. */
  async assertAlive(): Promise<void> {
    const before = this.accepted.length;
    const client = await TestClient.connect(this.url);
    client.send({ hello: 1 });
    // Others may be coming in meanwhile, who say nothing.
    let accepted: Accepted | undefined;
    await until(() => {
      accepted = this.accepted.slice(before).find(({ texts }) => texts.length === 1);
      return accepted !== undefined;
    }, { what: "A new client's message" });
    accepted?.socket.send([note(1)]);
    await client.next(() => true);
    await client.close();
    await until(() => accepted?.closes.length === 1, { what: "A new client's close" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.accepted) socket.terminate();
    await this.engine.shutdown(2_000);
  }

  async #next(index: number): Promise<Accepted> {
    await until(() => this.accepted.length > index, { what: "The socket's opening" });
    return this.accepted[index] as Accepted;
  }
}

/** A frame that tells one from another. */
export function note(number: number, filling = "") {
  return frameOf({ type: "error", message: `${number}${filling}`, code: "internal" });
}
