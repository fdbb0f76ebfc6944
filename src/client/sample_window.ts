// What one listener has of one device: how far it got, and which of the last samples it has, so that what is asked for
// again is not given twice. It must stay small however long it lives.
//
// The service sends samples that are stored late, up to its `LATE_SECONDS`, out of order. So a resume goes back as far
// from where the listener was, and what it has in between is dropped by its timestamp. Where it was: the newest sample,
// or the read that brought it if that is earlier, because the clock of a device may be ahead.
import { earlierBy } from "./instants.ts";
import type { Sample } from "../protocol/server_messages.ts";

/** The set is looked through when it has grown by so many. */
const PRUNE_EVERY = 64;

export class SampleWindow {
  readonly #lateMs: number;
  readonly #seen = new Set<string>();
  #pruneAt = PRUNE_EVERY;
  #greatest: string | null = null;
  #readAt: string | null = null;
  /** While history is on its way: what is not later is not wanted. */
  #held: string | null = null;
  #historyAt: string | null = null;
  /** What the listener was given last. */
  last: Sample | null = null;

  constructor(lateMs: number) {
    this.#lateMs = lateMs;
  }

  get greatest(): string | null {
    return this.#greatest;
  }

  /** Whether history is on its way, and live samples belong behind it. */
  get isHeld(): boolean {
    return this.#held !== null;
  }

  /** When it was last read, by the service's clock. */
  get readAt(): string | null {
    return this.#readAt;
  }

  /** A resume asks for what is later than this; null where there is nothing to resume. */
  get floor(): string | null {
    if (this.#held !== null) {
      const reached = this.#historyAt === null ? "" : this.#lateAt(this.#historyAt);
      return (reached > this.#held ? reached : this.#held) || null;
    }
    return this.#greatest === null ? null : this.#lateAt(this.#greatest);
  }

  /** History is asked for; what is not later than `limit`, where there is one, is not wanted of it. */
  hold(limit: string | null): void {
    const floor = this.floor ?? "";
    this.#held = limit !== null && limit > floor ? limit : floor;
    this.#historyAt = null;
  }

  /** History is here. */
  release(): void {
    this.#held = null;
  }

  /** Whether a sample was given before, or lies before what was asked for. */
  has(timestamp: string): boolean {
    return this.#seen.has(timestamp) || (this.#held !== null && timestamp <= this.#held);
  }

  note(timestamp: string, readAt: string | null): void {
    this.#seen.add(timestamp);
    if (this.#held !== null) this.#historyAt = timestamp;
    if (this.#greatest === null || timestamp > this.#greatest) this.#greatest = timestamp;
    this.#readAt = readAt;
    if (this.#seen.size < this.#pruneAt) return;
    const { floor } = this;
    for (const seen of this.#seen) {
      if (floor !== null && seen <= floor) this.#seen.delete(seen);
    }
    this.#pruneAt = this.#seen.size + PRUNE_EVERY;
  }

  /** From where a sample may still come though one of this instant did. */
  #lateAt(instant: string): string {
    const isAhead = this.#readAt !== null && this.#readAt < instant;
    return earlierBy(isAhead ? this.#readAt ?? instant : instant, this.#lateMs);
  }
}
