// One connection that comes back: it is always in exactly one phase, and one function moves it. It knows nothing of
// subscriptions, and must never attempt to connect twice without a wait in between.
import type { Clock, TimerHandle } from "../clock.ts";
import type { Feature } from "../protocol/client_messages.ts";
import type { HelloMessage, ServerMessage } from "../protocol/server_messages.ts";
import { Backoff } from "./backoff.ts";
import { comeBack } from "./come_back.ts";
import { type Credential, type Credentials, handshakeOf } from "./credentials.ts";
import { PulsewireError } from "./pulsewire_error.ts";
import type { Timings } from "./timings.ts";
import { Watchdog } from "./watchdog.ts";

/** What of a WebSocket is used: the platform's own, or one of a package such as `ws`. */
export interface ClientSocket {
  readonly readyState: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: ((event: { preventDefault?(): void }) => void) | null;
  send(text: string): void;
  close(code?: number): void;
}

// deno-lint-ignore no-explicit-any -- Platforms and packages disagree about events, and agree about what is used here.
export type WebSocketConstructor = new (url: string, protocols: string[]) => any;

/** Why there is no connection. */
export interface Ending {
  readonly closeCode: number | null;
  readonly reason: string;
  readonly isUnauthorized: boolean;
}

export type Phase =
  | { readonly name: "idle" }
  | { readonly name: "fetching"; readonly after: Ending | null }
  | { readonly name: "opening" }
  | { readonly name: "greeting" }
  | { readonly name: "live"; readonly hello: HelloMessage; readonly credential: Credential }
  /** `retryAt` in milliseconds since the epoch. An `ordered` wait was asked for by the service. */
  | {
    readonly name: "waiting";
    readonly retryAt: number;
    readonly ending: Ending;
    readonly isOrdered: boolean;
  }
  /** It does not come back by itself. */
  | { readonly name: "refused"; readonly ending: Ending }
  | { readonly name: "closed" };

export interface ConnectionOptions {
  readonly url: URL;
  readonly credentials: Credentials;
  readonly WebSocket: WebSocketConstructor;
  readonly clock: Clock;
  readonly random: () => number;
  readonly timings: Timings;
  readonly onPhase: (phase: Phase) => void;
  readonly onMessage: (message: ServerMessage) => void;
  readonly onError: (error: PulsewireError) => void;
}

const FEATURES: readonly Feature[] = ["notices", "batch", "as_of"];
const OPEN = 1;

export class Connection implements Disposable {
  readonly #options: ConnectionOptions;
  readonly #backoff: Backoff;
  #phase: Phase = { name: "idle" };
  #timer: TimerHandle | null = null;
  #fetching: AbortController | null = null;
  #socket: ClientSocket | null = null;
  #watchdog: Watchdog | null = null;
  #credential: Credential | null = null;
  /** What was refused: only another one is worth a handshake. */
  #refused: string | null = null;
  #attemptedAt = Number.NEGATIVE_INFINITY;
  #liveAt: number | null = null;
  /** When a service that is leaving asked to be looked for again. */
  #returnAt: number | null = null;
  /** What the last error of this socket asked to wait. */
  #patienceMs: number | null = null;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { random, timings: { baseMs, maxMs, minMs } } = options;
    this.#backoff = new Backoff({ baseMs, maxMs, minMs, random });
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Connects, ends a wait, or tries again after a refusal: what a person may ask for, and no timer. */
  connect(): void {
    const { name } = this.#phase;
    if (name === "idle" || name === "waiting" || name === "refused") void this.#attempt();
  }

  /** The machine woke or the network came back. */
  wake(): void {
    if (this.#phase.name === "live") this.#watchdog?.probe();
    if (this.#phase.name !== "waiting" || this.#phase.isOrdered) return;
    // A network that flaps must not make attempts denser than failures do.
    const { clock, timings } = this.#options;
    if (clock.now() - this.#attemptedAt >= timings.baseMs) void this.#attempt();
  }

  send(message: unknown): void {
    if (this.#socket?.readyState === OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** The token of the socket was renewed in place. */
  renewed(token: string): void {
    if (this.#credential !== null && this.#credential.place !== "ticket") {
      this.#credential = { ...this.#credential, value: token };
    }
  }

  [Symbol.dispose](): void {
    if (this.#phase.name !== "closed") this.#enter({ name: "closed" });
  }

  /** The only place that leaves a phase and enters one. */
  #enter(phase: Phase): void {
    const { clock } = this.#options;
    // One bound holds for the handshake and the greeting together.
    if (phase.name !== "greeting") {
      if (this.#timer !== null) clock.clearTimeout(this.#timer);
      this.#timer = null;
    }
    this.#watchdog?.[Symbol.dispose]();
    this.#watchdog = null;
    if (phase.name !== "fetching") this.#fetching?.abort();
    if (phase.name !== "opening" && phase.name !== "greeting" && phase.name !== "live") {
      this.#drop();
    }
    this.#phase = phase;
    this.#options.onPhase(phase);
  }

  async #attempt(): Promise<void> {
    const { credentials, clock, onError } = this.#options;
    const fetching = new AbortController();
    this.#fetching = fetching;
    this.#attemptedAt = clock.now();
    const after = "ending" in this.#phase ? this.#phase.ending : null;
    this.#enter({ name: "fetching", after });
    // Whoever heard of it may have closed the client.
    if (fetching.signal.aborted) return;
    try {
      const credential = await credentials.obtain(fetching.signal);
      if (fetching.signal.aborted) return;
      if (credential === null) {
        this.#enter({ name: "refused", ending: unauthorized("There is no token") });
      } else if (credential.value === this.#refused) this.#refuseToken(null, "Token was refused");
      else this.#open(credential);
    } catch (error) {
      if (fetching.signal.aborted) return;
      const known = error instanceof PulsewireError
        ? error
        : new PulsewireError("token_failed", "Token could not be had", { cause: error });
      onError(known);
      const ending = { closeCode: null, reason: known.message, isUnauthorized: false };
      this.#wait(this.#backoff.next(), ending);
    }
  }

  #open(credential: Credential): void {
    const { url, WebSocket, clock, timings, onError } = this.#options;
    this.#credential = credential;
    this.#returnAt = null;
    this.#patienceMs = null;
    const handshake = handshakeOf(url, credential);
    let socket: ClientSocket;
    try {
      socket = new WebSocket(handshake.url, handshake.protocols);
    } catch (error) {
      // What the platform says may hold the subprotocol, and so the token.
      const name = error instanceof Error ? error.name : "unknown";
      const failed = new PulsewireError("socket_failed", `Socket could not be made: ${name}`);
      onError(failed);
      this.#wait(this.#backoff.next(), {
        closeCode: null,
        reason: failed.message,
        isUnauthorized: false,
      });
      return;
    }
    this.#socket = socket;
    socket.onopen = () => {
      this.#enter({ name: "greeting" });
      this.send({ action: "hello", features: FEATURES });
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#ended(code, reason);
    socket.onerror = (event) => event.preventDefault?.();
    this.#enter({ name: "opening" });
    this.#timer = clock.setTimeout(
      () => this.#ended(1006, `No greeting within ${timings.openMs} ms`),
      timings.openMs,
    );
  }

  #receive(data: unknown): void {
    const { onMessage, onError, clock } = this.#options;
    const message = readMessage(data);
    if (message === null) {
      onError(new PulsewireError("invalid_data", "Message of the service could not be read"));
      return;
    }
    this.#watchdog?.heard();
    if (message.type === "error") this.#patienceMs = message.retry_after_ms ?? null;
    if (message.type === "reconnect") this.#returnAt = clock.now() + message.after_ms;
    if (message.type === "hello" && this.#phase.name === "greeting") this.#greeted(message);
    if (message.type !== "pong") onMessage(message);
  }

  #greeted(hello: HelloMessage): void {
    const { clock, timings } = this.#options;
    if (this.#credential === null) return;
    this.#liveAt = clock.monotonicNow();
    this.#refused = null;
    this.#enter({ name: "live", hello, credential: this.#credential });
    // Whoever heard of it may have closed it.
    if (this.#phase.name !== "live") return;
    this.#watchdog = new Watchdog({
      clock,
      quietMs: timings.quietMs,
      answerMs: timings.answerMs,
      ask: () => this.send({ action: "ping" }),
      dead: () => this.#ended(1006, `No answer within ${timings.answerMs} ms`),
    });
  }

  #ended(code: number, reason: string): void {
    const { clock, timings, credentials } = this.#options;
    const ending = {
      closeCode: code,
      reason: reason || `Socket was closed with ${code}`,
      isUnauthorized: code === 4001 || code === 4003,
    };
    const lived = this.#liveAt === null ? 0 : clock.monotonicNow() - this.#liveAt;
    this.#liveAt = null;
    if (lived >= timings.stableMs) this.#backoff.succeed();
    const how = comeBack(code);
    if (how === "never" || (how === "new_token" && !credentials.canChange)) {
      this.#enter({ name: "refused", ending });
    } else if (how === "new_token") {
      this.#refused = this.#credential?.value ?? null;
      this.#refuseToken(code, ending.reason);
    } else if (how === "patient") {
      const leastMs = this.#patienceMs ?? timings.patienceMs;
      this.#wait(leastMs + this.#backoff.next(), ending, { isOrdered: true });
    } else if (this.#returnAt !== null) {
      const leftMs = Math.max(timings.minMs, this.#returnAt - clock.now());
      this.#wait(leftMs, ending, { isOrdered: true });
    } else this.#wait(this.#backoff.next(), ending);
  }

  #refuseToken(closeCode: number | null, reason: string): void {
    this.#wait(this.#backoff.next(), { closeCode, reason, isUnauthorized: true });
  }

  #wait(ms: number, ending: Ending, { isOrdered = false } = {}): void {
    const { clock } = this.#options;
    this.#enter({ name: "waiting", retryAt: clock.now() + ms, ending, isOrdered });
    if (this.#phase.name === "waiting") {
      this.#timer = clock.setTimeout(() => void this.#attempt(), ms);
    }
  }

  #drop(): void {
    const socket = this.#socket;
    if (socket === null) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // A socket that is given up while it opens still says that it failed.
    socket.onerror = (event) => event.preventDefault?.();
    socket.close(1000);
  }
}

function unauthorized(reason: string): Ending {
  return { closeCode: null, reason, isUnauthorized: true };
}

/** Null for what is no message; a kind that is not known is one all the same. */
function readMessage(data: unknown): ServerMessage | null {
  if (typeof data !== "string") return null;
  try {
    const message: unknown = JSON.parse(data);
    const isMessage = typeof message === "object" && message !== null && "type" in message;
    return isMessage ? message as ServerMessage : null;
  } catch {
    return null;
  }
}
