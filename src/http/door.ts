// Decides over a handshake: who may upgrade, who is refused and how they are told. It counts before it verifies, and
// verifies before it upgrades.
import { AuthError } from "../auth/auth_error.ts";
import { type CredentialPlace, findCredential, selectSubprotocol } from "../auth/credential.ts";
import type { Scope } from "../auth/scope.ts";
import type { Tickets } from "../auth/tickets.ts";
import type { Verifier } from "../auth/verifier.ts";
import { type ClosingName, CLOSINGS, headersOf } from "../errors.ts";
import { type LimitLedger, type LimitName, limitSentence } from "../limits/limits.ts";
import type { Seat, Seats } from "../limits/seats.ts";
import type { KeyedBuckets } from "../limits/token_bucket.ts";
import type { Log } from "../observe/log.ts";
import { frameOf } from "../protocol/frame.ts";
import type { Admission, Handshake, Socket, SocketEvents } from "../sockets/socket.ts";
import { addressKey, type TrustedProxies } from "./client_address.ts";

export interface DoorOptions {
  readonly verifier: Verifier;
  readonly tickets: Tickets;
  readonly accept: ReadonlySet<CredentialPlace>;
  /** Origins that browsers may come from; null lets all in. */
  readonly allowedOrigins: ReadonlySet<string> | null;
  readonly proxies: TrustedProxies;
  readonly ledger: LimitLedger;
  readonly seats: Seats;
  /** Handshakes and tickets by address. */
  readonly handshakes: KeyedBuckets;
  readonly log: Log;
  /** Takes in a socket whose client was let in. */
  readonly enter: (socket: Socket, scope: Scope) => SocketEvents;
}

/** What a client that was turned away for lack of room should wait. */
const RETRY_MS = 5_000;

export class Door {
  readonly #options: DoorOptions;
  #refusedSockets = 0;
  #isShut = false;

  constructor(options: DoorOptions) {
    this.#options = options;
  }

  /** Refused clients that are upgraded and not yet gone. */
  get refusedSockets(): number {
    return this.#refusedSockets;
  }

  get isShut(): boolean {
    return this.#isShut;
  }

  /** Lets nobody in from now on. */
  shut(): void {
    this.#isShut = true;
  }

  async admit(handshake: Handshake): Promise<Admission> {
    if (this.#isShut) return respond("going_away");
    const { accept, allowedOrigins, handshakes, ledger, proxies, seats } = this.#options;
    const origin = handshake.headers.get("origin");
    if (origin !== null && allowedOrigins !== null && !allowedOrigins.has(origin)) {
      return respond("origin_not_allowed");
    }
    const address = addressKey(proxies.clientOf(handshake.address, handshake.headers));
    const waitMs = handshakes.take(address);
    if (waitMs > 0) {
      ledger.crossed("handshakes_per_second");
      return this.#tooMany("handshakes_per_second", { status: 429, waitMs });
    }
    const credential = findCredential(handshake, { accept });
    if (credential.kind === "ambiguous" || credential.kind === "subprotocol_missing") {
      return respond("ambiguous_credential");
    }
    const seat = seats.take(address);
    if (typeof seat === "string") {
      return this.#tooMany(seat, {
        status: seat === "connections" ? 503 : 429,
        waitMs: RETRY_MS,
      });
    }
    try {
      return await this.#judge({ handshake, credential, seat, address });
    } catch (error) {
      seat.leave();
      throw error;
    }
  }

  async #judge({ handshake, credential, seat, address }: Judged): Promise<Admission> {
    const protocol = selectSubprotocol(handshake.headers);
    const verdict = await this.#verify(credential);
    if (this.#isShut) {
      seat.leave();
      return respond("going_away");
    }
    if (typeof verdict === "string") {
      this.#options.log.info("handshake_refused", { reason: verdict, address });
      return this.#turnAway(verdict, { seat, protocol });
    }
    const full = seat.claim(verdict);
    if (full !== null) {
      const { tenantId } = verdict;
      this.#options.log.info("handshake_refused", { reason: full, address, tenant: tenantId });
      return this.#turnAway("too_many_connections", { seat, protocol, limit: full });
    }
    return {
      kind: "upgrade",
      protocol,
      opened: (socket) => this.#enter(socket, { scope: verdict, seat }),
      abandoned: () => seat.leave(),
    };
  }

  #enter(socket: Socket, { scope, seat }: { scope: Scope; seat: Seat }): SocketEvents {
    // Nobody would close a socket that opens after those of the drain were closed.
    if (this.#isShut) return closeAtOnce(socket, { closing: "draining", gone: () => seat.leave() });
    const events = this.#openOr(() => seat.leave(), () => this.#options.enter(socket, scope));
    return {
      text: (data) => events.text(data),
      binary: (byteLength) => events.binary(byteLength),
      closed: (code) => {
        seat.leave();
        events.closed(code);
      },
    };
  }

  /** An engine tells nobody of the close of a socket that could not be opened. */
  #openOr(giveBack: () => void, open: () => SocketEvents): SocketEvents {
    try {
      return open();
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  async #verify(credential: Judged["credential"]): Promise<Scope | ClosingName> {
    const { verifier, tickets, log } = this.#options;
    if (credential.kind === "missing") return "token_missing";
    if (credential.kind === "ticket") return tickets.redeem(credential.ticket) ?? "invalid_token";
    try {
      return await verifier.verify(credential.token);
    } catch (error) {
      if (!(error instanceof AuthError)) throw error;
      log.debug("token_refused", { code: error.code, error });
      return error.code;
    }
  }

  /** A browser can't read a status of a failed upgrade, so the refused are upgraded and closed, while they are few. */
  #turnAway(
    closing: ClosingName,
    { seat, protocol, limit }: { seat: Seat; protocol: string | null; limit?: LimitName },
  ): Admission {
    const { ledger } = this.#options;
    const isTransient = closing === "keys_unavailable";
    const isFull = !isTransient && this.#refusedSockets >= ledger.values.refused_sockets;
    if (isFull) ledger.crossed("refused_sockets");
    if (isFull || isTransient) {
      seat.leave();
      return limit === undefined
        ? respond(closing)
        : this.#tooMany(limit, { status: 429, waitMs: RETRY_MS });
    }
    this.#refusedSockets++;
    let isGone = false;
    const gone = () => {
      if (isGone) return;
      isGone = true;
      this.#refusedSockets--;
      seat.leave();
    };
    return {
      kind: "upgrade",
      protocol,
      opened: (socket) =>
        this.#openOr(gone, () => {
          if (limit !== undefined) socket.send([frameOf(limitError(limit, ledger))]);
          return closeAtOnce(socket, { closing, gone });
        }),
      abandoned: gone,
    };
  }

  #tooMany(
    limit: LimitName,
    { status, waitMs }: { status: 429 | 503; waitMs: number },
  ): Admission {
    const sentence = limitSentence(limit, this.#options.ledger.values);
    const headers = { "retry-after": String(Math.ceil(waitMs / 1_000)) };
    return { kind: "respond", response: new Response(`${sentence}\n`, { status, headers }) };
  }
}

interface Judged {
  readonly handshake: Handshake;
  readonly credential: Exclude<
    ReturnType<typeof findCredential>,
    { kind: "ambiguous" | "subprotocol_missing" }
  >;
  readonly seat: Seat;
  readonly address: string;
}

function limitError(limit: LimitName, ledger: LimitLedger) {
  return {
    type: "error",
    message: limitSentence(limit, ledger.values),
    code: "limit_exceeded",
    limit,
    value: ledger.values[limit],
    retry_after_ms: RETRY_MS,
  } as const;
}

/** Closes a socket as soon as it has opened, and hears nothing that it says. */
function closeAtOnce(
  socket: Socket,
  { closing, gone }: { closing: ClosingName; gone: () => void },
): SocketEvents {
  const { closeCode, sentence } = CLOSINGS[closing];
  socket.close(closeCode ?? 1011, sentence);
  return { text() {}, binary() {}, closed: gone };
}

function respond(closing: ClosingName): Admission {
  const { status, sentence } = CLOSINGS[closing];
  const headers = headersOf(closing);
  return { kind: "respond", response: new Response(`${sentence}\n`, { status, headers }) };
}
