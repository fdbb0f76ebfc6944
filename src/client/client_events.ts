// What an application hears beside samples and alerts, and how one listener's fault stays its own: it must never let a
// listener that throws keep another from hearing.
import type { ResumeReason } from "../protocol/server_messages.ts";
import { PulsewireError } from "./pulsewire_error.ts";

/** Ends what was begun. Calling it again does nothing. */
export interface Stop extends Disposable {
  (): void;
}

/**
 * - `connecting`: a token, a socket or the service's greeting is waited for.
 * - `live`: what is followed arrives.
 * - `degraded`: connected, but the service can't read one of its sources.
 * - `offline`: not connected; `retryAt` says when the next attempt begins, null when none does.
 * - `unauthorized`: the token was refused, or there is none.
 */
export type ClientState = "connecting" | "live" | "degraded" | "offline" | "unauthorized";

/** A source that the service can't read at present. */
export interface DegradedSource {
  readonly source: "telemetry" | "alerts";
  /** UTC, ISO 8601. */
  readonly since: string;
  /** Milliseconds since the epoch by this machine's clock; null where the service did not say. */
  readonly retryAt: number | null;
}

export interface StateDetails {
  /** Since when, in milliseconds since the epoch. */
  readonly since: number;
  /** When the next attempt to connect begins, in milliseconds since the epoch; null where none is due. */
  readonly retryAt: number | null;
  /** Why the connection is not there; null while it is. */
  readonly reason: string | null;
  /** The code that the socket was closed with, where it was. */
  readonly closeCode: number | null;
  /** Empty unless degraded. */
  readonly sources: readonly DegradedSource[];
}

/** Something that the service could not give. */
export interface Gap {
  readonly channel: "device" | "alerts";
  /** Null where the gap is in the alerts. */
  readonly device_id: string | null;
  /** What is sent begins after this instant. */
  readonly from: string;
  /**
   * `source_unavailable`: what is missing is sent as soon as the source can be read again.
   * The others: what lies before `from` is not sent at all.
   */
  readonly reason: ResumeReason | null;
}

/** A device that stopped to report; it is not told again until it has reported. */
export interface StaleDevice {
  readonly device_id: string;
  readonly last: string | null;
}

export interface ClientEvents {
  readonly state: readonly [state: ClientState, details: StateDetails];
  readonly error: readonly [error: PulsewireError];
  readonly gap: readonly [gap: Gap];
  readonly stale: readonly [device: StaleDevice];
}

type Listener<Name extends keyof ClientEvents> = (...args: ClientEvents[Name]) => unknown;

export class EventHub {
  readonly #listeners: { readonly [Name in keyof ClientEvents]: Set<Listener<Name>> } = {
    state: new Set(),
    error: new Set(),
    gap: new Set(),
    stale: new Set(),
  };

  on<Name extends keyof ClientEvents>(name: Name, listener: Listener<Name>): Stop {
    // A wrapper of its own, so that one function given twice is two listeners.
    const entry: Listener<Name> = (...args) => listener(...args);
    this.#listeners[name].add(entry);
    return stopOf(() => void this.#listeners[name].delete(entry));
  }

  emit<Name extends keyof ClientEvents>(name: Name, ...args: ClientEvents[Name]): void {
    for (const listener of [...this.#listeners[name]]) {
      const fault = (cause: unknown) => {
        // Nobody else could hear what goes wrong in the one place that hears.
        if (name === "error") throwLater(cause);
        else this.#listenerFailed(cause);
      };
      attempt(() => listener(...args), fault);
    }
  }

  /** Calls an application's function; what it throws, or rejects with, is told to those who listen for errors. */
  call(listener: () => unknown): void {
    attempt(listener, (cause) => this.#listenerFailed(cause));
  }

  clear(): void {
    for (const listeners of Object.values(this.#listeners)) listeners.clear();
  }

  #listenerFailed(cause: unknown): void {
    // As the platform would: a fault of the application that nobody listens for must not vanish.
    if (this.#listeners.error.size === 0) throwLater(cause);
    else this.emit("error", new PulsewireError("listener_failed", "A listener threw", { cause }));
  }
}

/** A function that ends something, also by `using`; what it does must bear being done twice. */
export function stopOf(end: () => void): Stop {
  return Object.assign(() => end(), { [Symbol.dispose]: end });
}

function attempt(call: () => unknown, failed: (cause: unknown) => void): void {
  try {
    const outcome = call();
    if (outcome instanceof Promise) outcome.catch(failed);
  } catch (cause) {
    failed(cause);
  }
}

function throwLater(cause: unknown): void {
  queueMicrotask(() => {
    throw cause;
  });
}
