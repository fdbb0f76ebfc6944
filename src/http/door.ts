// Decides over a handshake: who may upgrade, who is refused and how they are told. It verifies before it upgrades.
import { AuthError } from "../auth/auth_error.ts";
import { type CredentialPlace, findCredential, selectSubprotocol } from "../auth/credential.ts";
import type { Scope } from "../auth/scope.ts";
import type { Verifier } from "../auth/verifier.ts";
import { type ClosingName, CLOSINGS } from "../errors.ts";
import type { Log } from "../observe/log.ts";
import type { Admission, Handshake, Socket, SocketEvents } from "../sockets/socket.ts";

export interface DoorOptions {
  readonly verifier: Verifier;
  readonly accept: ReadonlySet<CredentialPlace>;
  /** Refused clients that may be upgraded at once, only to be told why by a close code. */
  readonly maxRefusedSockets: number;
  readonly log: Log;
  /** Takes in a socket whose client was let in. */
  readonly enter: (socket: Socket, scope: Scope) => SocketEvents;
}

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

  /** Lets nobody in from now on. */
  shut(): void {
    this.#isShut = true;
  }

  async admit(handshake: Handshake): Promise<Admission> {
    if (this.#isShut) return respond("going_away");
    const { accept, enter } = this.#options;
    const credential = findCredential(handshake, { accept });
    const protocol = selectSubprotocol(handshake.headers);
    switch (credential.kind) {
      case "ambiguous":
      case "subprotocol_missing":
      case "ticket":
        return respond("ambiguous_credential");
      case "missing":
        return this.#refuse("token_missing", { handshake, protocol });
    }
    const verdict = await this.#verify(credential.token);
    if (this.#isShut) return respond("going_away");
    if (typeof verdict === "string") return this.#refuse(verdict, { handshake, protocol });
    return {
      kind: "upgrade",
      protocol,
      // Nobody would close a socket that opens after those of the drain were closed.
      opened: (socket) =>
        this.#isShut
          ? turnAway(socket, { closing: "draining", gone: () => {} })
          : enter(socket, verdict),
      abandoned: () => {},
    };
  }

  async #verify(token: string): Promise<Scope | ClosingName> {
    try {
      return await this.#options.verifier.verify(token);
    } catch (error) {
      if (!(error instanceof AuthError)) throw error;
      this.#options.log.debug("token_refused", { code: error.code, error });
      return error.code;
    }
  }

  /** A browser can't read a status of a failed upgrade, so the refused are upgraded and closed, while they are few. */
  #refuse(
    closing: ClosingName,
    { handshake, protocol }: { handshake: Handshake; protocol: string | null },
  ): Admission {
    const { closeCode } = CLOSINGS[closing];
    const { log, maxRefusedSockets } = this.#options;
    log.info("handshake_refused", { reason: closing, address: handshake.address });
    if (closeCode === null || closeCode === 1013 || this.#refusedSockets >= maxRefusedSockets) {
      return respond(closing);
    }
    this.#refusedSockets++;
    const gone = () => void this.#refusedSockets--;
    return {
      kind: "upgrade",
      protocol,
      opened: (socket) => turnAway(socket, { closing, gone }),
      abandoned: gone,
    };
  }
}

/** Closes a socket as soon as it has opened, and hears nothing that it says. */
function turnAway(
  socket: Socket,
  { closing, gone }: { closing: ClosingName; gone: () => void },
): SocketEvents {
  const { closeCode, sentence } = CLOSINGS[closing];
  socket.close(closeCode ?? 1011, sentence);
  return { text() {}, binary() {}, closed: gone };
}

function respond(closing: ClosingName): Admission {
  const { status, sentence, retry } = CLOSINGS[closing];
  const headers = retry === "after_delay" || retry === "with_jitter" ? { "retry-after": "5" } : {};
  return { kind: "respond", response: new Response(`${sentence}\n`, { status, headers }) };
}
