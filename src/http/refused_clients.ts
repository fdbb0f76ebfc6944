// How clients that the door refuses are told: by HTTP, or by a socket that is upgraded and closed. It judges nobody, and
// gives back whatever a client was given.
import { type ClosingName, CLOSINGS, headersOf } from "../errors.ts";
import { type LimitLedger, type LimitName, limitSentence } from "../limits/limits.ts";
import type { Refusals } from "../limits/refused_sockets.ts";
import type { TakenSeat } from "../limits/seats.ts";
import { frameOf } from "../protocol/frame.ts";
import type { Admission, Socket, SocketEvents } from "../sockets/socket.ts";

/** Refused before anybody knew who asks. */
export interface Refused {
  readonly kind: "refused";
  readonly closing: ClosingName;
  /** The limit that is crossed, where it is one. */
  readonly limit: LimitName | null;
  readonly waitMs: number | null;
}

/** Refused for what its credential says, or for lack of a seat of its own; the seat at the door is to be left. */
export interface TurnedAway {
  readonly kind: "turned_away";
  readonly closing: ClosingName;
  readonly seat: TakenSeat;
  readonly limit: LimitName | null;
}

export interface RefusedClientsOptions {
  readonly ledger: LimitLedger;
  /** Those that may be upgraded. */
  readonly refusals: Refusals;
}

/** What a client that was turned away for lack of room should wait. */
export const RETRY_MS = 5_000;

export class RefusedClients {
  readonly #options: RefusedClientsOptions;
  #sockets = 0;

  constructor(options: RefusedClientsOptions) {
    this.#options = options;
  }

  /** Those that are upgraded and not yet gone. */
  get sockets(): number {
    return this.#sockets;
  }

  /** A browser can't read a status of a failed upgrade, so the refused are upgraded and closed, while they are few. */
  async turnAway(
    { closing, seat, limit }: TurnedAway,
    protocol: string | null,
  ): Promise<Admission> {
    const { ledger, refusals } = this.#options;
    const isTransient = closing === "keys_unavailable";
    const isFull = !isTransient && !(await refusals.enter());
    if (isFull) ledger.crossed("refused_sockets");
    if (isFull || isTransient) {
      seat.leave();
      return limit === null
        ? respond(closing)
        : this.respond({ kind: "refused", closing, limit, waitMs: RETRY_MS });
    }
    this.#sockets++;
    let isGone = false;
    const gone = () => {
      if (isGone) return;
      isGone = true;
      this.#sockets--;
      refusals.leave();
      seat.leave();
    };
    return {
      kind: "upgrade",
      protocol,
      opened: (socket) =>
        openOr(gone, () => {
          if (limit !== null) socket.send([frameOf(limitError(limit, ledger))]);
          return closeAtOnce(socket, { closing, gone });
        }),
      abandoned: gone,
    };
  }

  /** By HTTP, with how long to wait where it is a limit that was crossed. */
  respond({ closing, limit, waitMs }: Refused): Admission {
    if (limit === null) return respond(closing);
    const sentence = limitSentence(limit, this.#options.ledger.values);
    const { status } = CLOSINGS[closing];
    const headers = { "retry-after": String(Math.ceil((waitMs ?? RETRY_MS) / 1_000)) };
    return { kind: "respond", response: new Response(`${sentence}\n`, { status, headers }) };
  }
}

/** An engine tells nobody of the close of a socket that could not be opened. */
export function openOr(giveBack: () => void, open: () => SocketEvents): SocketEvents {
  try {
    return open();
  } catch (error) {
    giveBack();
    throw error;
  }
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
export function closeAtOnce(
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
