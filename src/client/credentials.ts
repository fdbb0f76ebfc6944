// Gets what a handshake shows, anew for each, and says where it stands; a token must never reach a log, an error or an
// event from here.
import type { Clock } from "../clock.ts";
import { PulsewireError } from "./pulsewire_error.ts";

/** Asked before each connect and before the token's end; null where nobody is signed in. */
export type TokenSource =
  | string
  | ((options: { readonly signal: AbortSignal }) => string | null | Promise<string | null>);

/** Asked before each connect: a ticket is good once. */
export type TicketSource = (options: { readonly signal: AbortSignal }) => string | Promise<string>;

export interface CredentialOptions {
  readonly token?: TokenSource;
  /** Shown in place of the token, as `?ticket=`. The token, where there is one, then only renews. */
  readonly ticket?: TicketSource;
  /** `query` puts the token into the address, where proxies log it. Default: `subprotocol`. */
  readonly sendTokenAs?: "subprotocol" | "query";
}

export interface Credential {
  readonly place: "subprotocol" | "token" | "ticket";
  readonly value: string;
}

/** What a subprotocol may consist of (RFC 9110, token); every JWT does. */
const SUBPROTOCOL = /^[\w!#$%&'*+.^`|~-]+$/;

export class Credentials {
  readonly #options: CredentialOptions;
  readonly #clock: Clock;
  readonly #timeoutMs: number;

  constructor(
    options: CredentialOptions,
    { clock, timeoutMs }: { clock: Clock; timeoutMs: number },
  ) {
    this.#options = options;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Whether asking again may bring another one. */
  get canChange(): boolean {
    return this.#options.ticket !== undefined || typeof this.#options.token === "function";
  }

  /** Whether a token can be had for a renewal in place. */
  get canRenew(): boolean {
    return typeof this.#options.token === "function";
  }

  /** For a handshake; null where there is none. */
  async obtain(signal: AbortSignal): Promise<Credential | null> {
    const { ticket, token, sendTokenAs = "subprotocol" } = this.#options;
    const place = ticket !== undefined
      ? "ticket"
      : sendTokenAs === "query"
      ? "token"
      : "subprotocol";
    const value = await this.#ask(ticket ?? token, signal);
    if (value === null) return null;
    if (place === "subprotocol" && !SUBPROTOCOL.test(value)) {
      throw new PulsewireError("token_failed", "Token can't stand in a subprotocol: it is no JWT");
    }
    return { place, value };
  }

  /** For a renewal in place; null where it can't be had without asking somebody. */
  async renewal(signal: AbortSignal): Promise<string | null> {
    const { token } = this.#options;
    return typeof token === "function" ? await this.#ask(token, signal) : null;
  }

  async #ask(
    source: TokenSource | TicketSource | undefined,
    signal: AbortSignal,
  ): Promise<string | null> {
    if (typeof source !== "function") return source === "" ? null : source ?? null;
    const abort = new AbortController();
    const leave = () => abort.abort(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    const timer = this.#clock.setTimeout(
      () => abort.abort(new Error(`Nothing came within ${this.#timeoutMs} ms`)),
      this.#timeoutMs,
    );
    try {
      // An answer that ignores the signal is not waited for.
      const aborted = new Promise<never>((_, reject) =>
        abort.signal.addEventListener("abort", () => reject(abort.signal.reason), { once: true })
      );
      const value: unknown = await Promise.race([source({ signal: abort.signal }), aborted]);
      if (value === "" || value === null) return null;
      if (typeof value !== "string") throw new TypeError(`It is ${typeof value}, not a string`);
      return value;
    } catch (cause) {
      throw new PulsewireError("token_failed", "Token could not be had", { cause });
    } finally {
      this.#clock.clearTimeout(timer);
      signal.removeEventListener("abort", leave);
    }
  }
}

/** The address and the subprotocols of a handshake that shows the credential. */
export function handshakeOf(
  url: URL,
  { place, value }: Credential,
): { readonly url: string; readonly protocols: string[] } {
  const address = new URL(url);
  if (place === "subprotocol") {
    return { url: address.href, protocols: ["pulsewire", `bearer.${value}`] };
  }
  address.searchParams.set(place, value);
  return { url: address.href, protocols: ["pulsewire"] };
}
