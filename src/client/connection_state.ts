// What an application is told about the connection: five words and their details, made of the phase that the connection is
// in and of the sources that the service can't read. Pure but for the clock.
import type { Clock } from "../clock.ts";
import type { NoticeMessage } from "../protocol/server_messages.ts";
import type { ClientState, DegradedSource, StateDetails } from "./client_events.ts";
import type { Phase } from "./connection.ts";

type StatusMessage = Extract<NoticeMessage, { readonly type: "status" }>;

export class ConnectionState {
  readonly #clock: Clock;
  readonly #told: (state: ClientState, details: StateDetails) => void;
  readonly #degraded = new Map<DegradedSource["source"], DegradedSource>();
  #phase: Phase = { name: "idle" };
  #state: ClientState = "offline";
  #details: StateDetails;

  constructor(
    { clock, told }: {
      readonly clock: Clock;
      readonly told: (state: ClientState, details: StateDetails) => void;
    },
  ) {
    this.#clock = clock;
    this.#told = told;
    this.#details = this.#detailsOf("offline");
  }

  get state(): ClientState {
    return this.#state;
  }

  get details(): StateDetails {
    return this.#details;
  }

  enter(phase: Phase): void {
    this.#phase = phase;
    if (phase.name !== "live") this.#degraded.clear();
    this.#tell();
  }

  status({ source, state, since, retry_in_ms: retryInMs }: StatusMessage): void {
    const retryAt = retryInMs === undefined ? null : this.#clock.now() + retryInMs;
    if (state === "ok") this.#degraded.delete(source);
    else this.#degraded.set(source, { source, since, retryAt });
    this.#tell();
  }

  #tell(): void {
    const state = this.#stateOf(this.#phase);
    const details = this.#detailsOf(state);
    const isSame = state === this.#state &&
      JSON.stringify(details) === JSON.stringify(this.#details);
    this.#state = state;
    this.#details = details;
    if (!isSame) this.#told(state, details);
  }

  #stateOf(phase: Phase): ClientState {
    switch (phase.name) {
      case "live":
        return this.#degraded.size > 0 ? "degraded" : "live";
      case "fetching":
        // Asking for another token is no progress until there is one.
        return phase.after?.isUnauthorized === true ? "unauthorized" : "connecting";
      case "opening":
      case "greeting":
        return "connecting";
      case "waiting":
      case "refused":
        return phase.ending.isUnauthorized ? "unauthorized" : "offline";
      case "idle":
      case "closed":
        return "offline";
    }
  }

  #detailsOf(state: ClientState): StateDetails {
    const phase = this.#phase;
    const ending = phase.name === "fetching"
      ? phase.after
      : "ending" in phase
      ? phase.ending
      : null;
    return {
      since: state === this.#state && this.#details !== undefined
        ? this.#details.since
        : this.#clock.now(),
      retryAt: phase.name === "waiting" ? phase.retryAt : null,
      reason: ending?.reason ?? null,
      closeCode: ending?.closeCode ?? null,
      sources: [...this.#degraded.values()],
    };
  }
}
