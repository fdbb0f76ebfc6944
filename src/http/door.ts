// Decides over a handshake: who may upgrade and who is refused. It counts before it verifies, and verifies before it
// upgrades.
import { AuthError } from "../auth/auth_error.ts";
import { type CredentialPlace, findCredential, selectSubprotocol } from "../auth/credential.ts";
import type { Scope } from "../auth/scope.ts";
import type { TicketDesk } from "../auth/tickets.ts";
import type { Verifier } from "../auth/verifier.ts";
import type { ClosingName } from "../errors.ts";
import type { LimitLedger } from "../limits/limits.ts";
import { type Refusals, RefusedSockets } from "../limits/refused_sockets.ts";
import type { Seating, TakenSeat } from "../limits/seats.ts";
import type { Rates } from "../limits/token_bucket.ts";
import type { Log } from "../observe/log.ts";
import { type Metrics, NO_METRICS } from "../observe/metrics.ts";
import { inSpan } from "../observe/traces.ts";
import type { Admission, Handshake, Socket, SocketEvents } from "../sockets/socket.ts";
import { addressKey, type TrustedProxies } from "./client_address.ts";
import {
  closeAtOnce,
  openOr,
  type Refused,
  RefusedClients,
  RETRY_MS,
  type TurnedAway,
} from "./refused_clients.ts";

export interface DoorOptions {
  readonly verifier: Verifier;
  readonly tickets: TicketDesk;
  readonly accept: ReadonlySet<CredentialPlace>;
  /** Origins that browsers may come from; null lets all in. */
  readonly allowedOrigins: ReadonlySet<string> | null;
  readonly proxies: TrustedProxies;
  readonly ledger: LimitLedger;
  readonly seats: Seating;
  /** Refused clients that may be upgraded; where nothing is said, those of this door alone. */
  readonly refusals?: Refusals;
  /** Handshakes and tickets by address. */
  readonly handshakes: Rates;
  readonly log: Log;
  readonly metrics?: Pick<Metrics, "handshake">;
  /** Takes in a socket whose client was let in. */
  readonly enter: (socket: Socket, scope: Scope) => SocketEvents;
}

export type Entrance =
  | Refused
  | TurnedAway
  | { readonly kind: "let_in"; readonly scope: Scope; readonly seat: TakenSeat };

const GOING_AWAY: Refused = { kind: "refused", closing: "going_away", limit: null, waitMs: null };

export class Door {
  readonly #options: DoorOptions;
  readonly #refused: RefusedClients;
  #isShut = false;

  constructor(options: DoorOptions) {
    this.#options = options;
    const { ledger, refusals = new RefusedSockets(ledger.values.refused_sockets) } = options;
    this.#refused = new RefusedClients({ ledger, refusals });
  }

  /** Refused clients that are upgraded and not yet gone. */
  get refusedSockets(): number {
    return this.#refused.sockets;
  }

  get isShut(): boolean {
    return this.#isShut;
  }

  /** Lets nobody in from now on. */
  shut(): void {
    this.#isShut = true;
  }

  /** The verdict on a handshake that asks for a WebSocket. */
  async admit(handshake: Handshake): Promise<Admission> {
    const protocol = selectSubprotocol(handshake.headers);
    const entrance = await this.judge(handshake, this.#options.accept);
    if (entrance.kind === "refused") return this.#refused.respond(entrance);
    if (entrance.kind === "turned_away") return await this.#refused.turnAway(entrance, protocol);
    const { scope, seat } = entrance;
    return {
      kind: "upgrade",
      protocol,
      opened: (socket) => this.enter(socket, { scope, seat }),
      abandoned: () => seat.leave(),
    };
  }

  /** Whether a client that asks to be sent a feed may come in, with a credential in one of the places. */
  judge(handshake: Handshake, accept: ReadonlySet<CredentialPlace>): Promise<Entrance> {
    return inSpan("handshake", async (span) => {
      const entrance = await this.#judge(handshake, accept);
      const outcome = entrance.kind === "let_in" ? "admitted" : entrance.closing;
      const { metrics = NO_METRICS } = this.#options;
      metrics.handshake(outcome);
      span.setAttribute("pulsewire.outcome", outcome);
      return entrance;
    });
  }

  async #judge(handshake: Handshake, accept: ReadonlySet<CredentialPlace>): Promise<Entrance> {
    if (this.#isShut) return GOING_AWAY;
    const { allowedOrigins, handshakes, ledger, proxies, seats } = this.#options;
    const address = addressKey(proxies.clientOf(handshake.address, handshake.headers));
    const origin = handshake.headers.get("origin");
    if (origin !== null && allowedOrigins !== null && !allowedOrigins.has(origin)) {
      return this.#refuse("origin_not_allowed", { address });
    }
    // Nothing is waited for where this thread counts itself.
    const rated = handshakes.take(address);
    const waitMs = typeof rated === "number" ? rated : await rated;
    if (waitMs > 0) {
      ledger.crossed("handshakes_per_second");
      return this.#refuse("too_many_requests", { address, limit: "handshakes_per_second", waitMs });
    }
    const credential = findCredential(handshake, { accept });
    if (credential.kind === "ambiguous" || credential.kind === "subprotocol_missing") {
      return this.#refuse("ambiguous_credential", { address });
    }
    const taken = seats.take(address);
    const seat = taken instanceof Promise ? await taken : taken;
    if (typeof seat === "string") {
      const closing = seat === "connections" ? "going_away" : "too_many_requests";
      return this.#refuse(closing, { address, limit: seat, waitMs: RETRY_MS });
    }
    try {
      return await this.#seatedJudgement({ credential, seat, address });
    } catch (error) {
      seat.leave();
      throw error;
    }
  }

  /** A warning, as a log damps those: a stranger may come as often as it likes. */
  #refuse(
    closing: ClosingName,
    { address, limit = null, waitMs = null }: Partial<Pick<Refused, "limit" | "waitMs">> & {
      readonly address: string;
    },
  ): Refused {
    this.#options.log.warning("stranger_refused", { reason: limit ?? closing, address });
    return { kind: "refused", closing, limit, waitMs };
  }

  async #seatedJudgement({ credential, seat, address }: Judged): Promise<Entrance> {
    const verdict = await this.#verify(credential);
    if (this.#isShut) {
      seat.leave();
      return GOING_AWAY;
    }
    if (typeof verdict === "string") {
      this.#options.log.info("handshake_refused", { reason: verdict, address });
      return { kind: "turned_away", closing: verdict, seat, limit: null };
    }
    const full = await seat.claim(verdict);
    if (full !== null) {
      const { tenantId } = verdict;
      this.#options.log.info("handshake_refused", { reason: full, address, tenant: tenantId });
      return { kind: "turned_away", closing: "too_many_connections", seat, limit: full };
    }
    return { kind: "let_in", scope: verdict, seat };
  }

  /** Takes in the open socket of a client that was let in. */
  enter(socket: Socket, { scope, seat }: { scope: Scope; seat: TakenSeat }): SocketEvents {
    // Nobody would close a socket that opens after those of the drain were closed.
    if (this.#isShut) return closeAtOnce(socket, { closing: "draining", gone: () => seat.leave() });
    const events = openOr(() => seat.leave(), () => this.#options.enter(socket, scope));
    return new SeatedEvents(events, seat);
  }

  async #verify(credential: Judged["credential"]): Promise<Scope | ClosingName> {
    const { verifier, tickets, log } = this.#options;
    if (credential.kind === "missing") return "token_missing";
    if (credential.kind === "ticket") {
      return await tickets.redeem(credential.ticket) ?? "invalid_token";
    }
    try {
      return await verifier.verify(credential.token);
    } catch (error) {
      if (!(error instanceof AuthError)) throw error;
      log.debug("token_refused", { code: error.code, error });
      return error.code;
    }
  }
}

/** Gives the seat back with the socket that it was taken for. */
class SeatedEvents implements SocketEvents {
  readonly #events: SocketEvents;
  readonly #seat: TakenSeat;

  constructor(events: SocketEvents, seat: TakenSeat) {
    this.#events = events;
    this.#seat = seat;
  }

  text(data: string): void {
    this.#events.text(data);
  }

  binary(byteLength: number): void {
    this.#events.binary(byteLength);
  }

  closed(code: number): void {
    this.#seat.leave();
    this.#events.closed(code);
  }
}

interface Judged {
  readonly credential: Exclude<
    ReturnType<typeof findCredential>,
    { kind: "ambiguous" | "subprotocol_missing" }
  >;
  readonly seat: TakenSeat;
  readonly address: string;
}
