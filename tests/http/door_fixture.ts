// The door by itself, with a verifier that does what a test says, for moments that no client can choose.
import type { CredentialPlace } from "../../src/auth/credential.ts";
import type { Scope } from "../../src/auth/scope.ts";
import { Tickets } from "../../src/auth/tickets.ts";
import { TrustedProxies } from "../../src/http/client_address.ts";
import { Door } from "../../src/http/door.ts";
import { LimitLedger, type LimitValues } from "../../src/limits/limits.ts";
import { Seats } from "../../src/limits/seats.ts";
import { KeyedBuckets } from "../../src/limits/token_bucket.ts";
import type { Admission, Socket, SocketEvents } from "../../src/sockets/socket.ts";
import { defaultLimits } from "../connections/connections_fixture.ts";
import { FakeSocket } from "../connections/fake_socket.ts";
import { type FakeClock, fakeClock } from "../support/fake_clock.ts";
import { type MemoryLog, memoryLog } from "../support/memory_log.ts";

export const SCOPE: Scope = {
  tenantId: "acme",
  userId: "user-1",
  email: null,
  role: "customer_viewer",
  expiresAt: 8.64e15,
};

export interface TestDoor {
  readonly door: Door;
  readonly seats: Seats;
  readonly ledger: LimitLedger;
  readonly tickets: Tickets;
  readonly clock: FakeClock;
  readonly log: MemoryLog;
  /** Sockets whose clients were let in, in order. */
  readonly entered: Socket[];
  /** Comes to the door from 192.0.2.1 unless told otherwise. */
  knock(query?: string, from?: { address?: string; headers?: HeadersInit }): Promise<Admission>;
}

export interface DoorFixtureOptions {
  /** What a token stands for. Default: SCOPE. */
  readonly verify?: (token: string) => Promise<Scope>;
  readonly limits?: Partial<LimitValues>;
  readonly accept?: readonly CredentialPlace[];
  readonly allowedOrigins?: readonly string[];
  readonly trusted?: readonly string[];
  readonly enter?: (socket: Socket, scope: Scope) => SocketEvents;
}

export function openDoor(options: DoorFixtureOptions = {}): TestDoor {
  const { verify = () => Promise.resolve(SCOPE), limits = {}, allowedOrigins } = options;
  const clock = fakeClock();
  const log = memoryLog();
  const ledger = new LimitLedger({ ...defaultLimits(), ...limits });
  const seats = new Seats(ledger);
  const tickets = new Tickets({ lifetimeMs: 30_000, maxTickets: 100, clock });
  const entered: Socket[] = [];
  const ratePerSecond = ledger.values.handshakes_per_second;
  const door = new Door({
    verifier: {
      verify,
      reach: () => Promise.resolve(true),
      state: { reached: true, failure: null },
    },
    tickets,
    accept: new Set(options.accept ?? ["query", "header", "subprotocol", "ticket"]),
    allowedOrigins: allowedOrigins === undefined ? null : new Set(allowedOrigins),
    proxies: new TrustedProxies(options.trusted ?? []),
    ledger,
    seats,
    handshakes: new KeyedBuckets({
      ratePerSecond,
      burst: ratePerSecond * 10,
      maxKeys: 100,
      clock,
    }),
    log,
    enter: options.enter ?? ((socket) => {
      entered.push(socket);
      return { text() {}, binary() {}, closed() {} };
    }),
  });
  return {
    door,
    seats,
    ledger,
    tickets,
    clock,
    log,
    entered,
    knock: (query = "?token=t", { address = "192.0.2.1", headers = {} } = {}) =>
      door.admit({
        search: query,
        headers: new Headers(headers),
        address,
      }),
  };
}

/** The status a handshake was answered with: 101 for an upgrade. */
export function statusOf(admission: Admission): number {
  return admission.kind === "upgrade" ? 101 : admission.response.status;
}

/** Opens an admitted socket, as an engine does. */
export function open(admission: Admission): { socket: FakeSocket; events: SocketEvents } {
  if (admission.kind !== "upgrade") throw new Error("The handshake was not admitted");
  const socket = new FakeSocket();
  return { socket, events: admission.opened(socket) };
}
