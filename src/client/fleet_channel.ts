// The subscription to the fleet's counts, shared by all listeners; whoever comes later is told what is known at once, and
// never what an earlier connection said.
import type { Clock, TimerHandle } from "../clock.ts";
import type { ErrorMessage, FleetMessage } from "../protocol/server_messages.ts";
import { type Stop, stopOf } from "./client_events.ts";
import { PulsewireError } from "./pulsewire_error.ts";
import type { Requests } from "./requests.ts";
import { retryDelayOf } from "./retry_delay.ts";

export type Fleet = Pick<FleetMessage, "devices" | "alerts">;
export type FleetListener = (fleet: Fleet) => unknown;

export interface FleetChannelOptions {
  readonly clock: Clock;
  /** Calls an application's function. */
  readonly call: (listener: () => unknown) => void;
  readonly onError: (error: PulsewireError) => void;
}

export class FleetChannel {
  readonly #options: FleetChannelOptions;
  readonly #listeners = new Set<{ readonly listener: FleetListener; isTold: boolean }>();
  #requests: Requests | null = null;
  #isAsked = false;
  #newest: Fleet | null = null;
  #isPlanning = false;
  #timer: TimerHandle | null = null;

  constructor(options: FleetChannelOptions) {
    this.#options = options;
  }

  listen(listener: FleetListener): Stop {
    const entry = { listener, isTold: false };
    this.#listeners.add(entry);
    this.#planSoon();
    return stopOf(() => {
      this.#listeners.delete(entry);
      this.#planSoon();
    });
  }

  connected(requests: Requests): void {
    this.#requests = requests;
    this.#planSoon();
  }

  lost(): void {
    this.#requests = null;
    this.#isAsked = false;
    this.#newest = null;
    this.#clearRetry();
  }

  receive({ devices, alerts }: FleetMessage): void {
    this.#newest = { devices, alerts };
    for (const entry of this.#listeners) entry.isTold = false;
    this.#tell();
  }

  clear(): void {
    this.#listeners.clear();
    this.lost();
  }

  #tell(): void {
    const fleet = this.#newest;
    if (fleet === null) return;
    for (const entry of [...this.#listeners]) {
      if (entry.isTold) continue;
      entry.isTold = true;
      this.#options.call(() => entry.listener(fleet));
    }
  }

  /** Later, so that no listener is called before the function that took it has returned. */
  #planSoon(): void {
    if (this.#isPlanning) return;
    this.#isPlanning = true;
    queueMicrotask(() => {
      this.#isPlanning = false;
      this.#plan();
    });
  }

  #plan(): void {
    const isWanted = this.#listeners.size > 0;
    this.#tell();
    if (this.#requests === null || isWanted === this.#isAsked) return;
    this.#isAsked = isWanted;
    this.#clearRetry();
    if (!isWanted) this.#newest = null;
    const action = isWanted ? "subscribe" : "unsubscribe";
    this.#requests.ask({ action, type: "fleet" }, (answer) => {
      if (answer.type === "error") this.#refused(answer);
    });
  }

  #refused(answer: ErrorMessage): void {
    const { clock, onError } = this.#options;
    onError(new PulsewireError(answer.code, answer.message));
    const retryMs = retryDelayOf(answer);
    if (retryMs === null || this.#requests === null) return;
    this.#timer = clock.setTimeout(() => {
      this.#isAsked = false;
      this.#plan();
    }, retryMs);
  }

  #clearRetry(): void {
    if (this.#timer !== null) this.#options.clock.clearTimeout(this.#timer);
    this.#timer = null;
  }
}
