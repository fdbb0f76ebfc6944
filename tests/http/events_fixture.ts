// Event streams on a real engine, behind a real door, with nobody behind it: a test sends what it likes to whoever was let
// in.
import { systemClock } from "../../src/clock.ts";
import { serveDeno } from "../../src/sockets/deno_engine.ts";
import type { EngineLimits, Socket } from "../../src/sockets/socket.ts";
import { serveWs } from "../../src/sockets/ws_engine.ts";
import type { RoutesOptions } from "../../src/http/routes.ts";
import { until } from "../support/until.ts";
import { type DoorFixtureOptions, openDoor, type TestDoor } from "./door_fixture.ts";
import { routesWith } from "./routes_fixture.ts";

export const ENGINES = { ws: serveWs, deno: serveDeno };
export type EngineName = keyof typeof ENGINES;
export const ENGINE_NAMES: readonly EngineName[] = ["ws", "deno"];

/** One stream as the service sees it. */
export interface Entered {
  readonly socket: Socket;
  /** What it asked for, as a socket's client would have. */
  readonly texts: string[];
  readonly closes: number[];
}

export interface EventsHarness extends AsyncDisposable {
  readonly origin: string;
  readonly port: number;
  readonly house: TestDoor;
  readonly entered: readonly Entered[];
  /** Faults that the engine spoke of. */
  readonly faults: readonly string[];
  url(query?: string): string;
  /** The stream that was let in as number `index`, once it was. */
  stream(index?: number): Promise<Entered>;
}

export interface EventsHarnessOptions {
  readonly engine: EngineName;
  readonly door?: DoorFixtureOptions;
  readonly routes?: Partial<RoutesOptions>;
  readonly limits?: Partial<EngineLimits>;
  /** Does something more once a stream was let in. */
  readonly onEntered?: (entered: Entered) => void;
}

const ROOMY: EngineLimits = {
  maxMessageBytes: 65_536,
  maxSockets: 1_000,
  headerTimeoutMs: 10_000,
  keepAliveTimeoutMs: 60_000,
  pingIntervalMs: 20_000,
};

export async function serveEvents(options: EventsHarnessOptions): Promise<EventsHarness> {
  const entered: Entered[] = [];
  const faults: string[] = [];
  const house = openDoor({
    ...options.door,
    enter(socket) {
      const stream: Entered = { socket, texts: [], closes: [] };
      entered.push(stream);
      options.onEntered?.(stream);
      return {
        text: (text) => void stream.texts.push(text),
        binary() {},
        closed: (code) => void stream.closes.push(code),
      };
    },
  });
  const { door, ledger, log } = house;
  const fetch = routesWith({
    door,
    ledger,
    log,
    clock: systemClock,
    keepAwakeMs: 20_000,
    ...options.routes,
  });
  const engine = await ENGINES[options.engine]({
    hostname: "127.0.0.1",
    port: 0,
    path: "/api/v2/ws",
    limits: { ...ROOMY, ...options.limits },
    tls: null,
    fetch,
    admit: (handshake) => door.admit(handshake),
    crossed: () => {},
    failed: (fault) => void faults.push(fault),
  });
  const origin = `http://127.0.0.1:${engine.port}`;
  return {
    origin,
    port: engine.port,
    house,
    entered,
    faults,
    url: (query = "?device_id=dev-1&token=t") => `${origin}/api/v2/events${query}`,
    async stream(index = 0) {
      await until(() => entered.length > index, { withinMs: 15_000, what: "A stream" });
      return entered[index] as Entered;
    },
    async [Symbol.asyncDispose]() {
      for (const { socket } of entered) socket.terminate();
      await engine.shutdown(1_000);
    },
  };
}
