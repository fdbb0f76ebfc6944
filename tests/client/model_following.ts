// One device as a model of the service follows it for one connection: its past in pages, then what is stored later.
import { at } from "./client_fixture.ts";
import type { ModelPast } from "./model_past.ts";

export interface Stored {
  readonly timestamp: string;
  readonly n: number;
  /** Stored with an earlier timestamp than its time. */
  readonly isLate: boolean;
}

export interface ModelFollowingOptions {
  readonly stored: readonly Stored[];
  /** What it begins with; null for what is stored from now on. */
  readonly past: ModelPast | null;
  /** It begins later than this; null for no such bound. */
  readonly from: string | null;
  /** What is not sent any more. */
  readonly known: ReadonlySet<string>;
  /** The second of the read before; null where there was none. */
  readonly readAt: number | null;
}

const LATE_SECONDS = 10;

export class ModelFollowing {
  readonly #options: ModelFollowingOptions;
  readonly #sent: Set<string>;
  #readAt: number | null;
  #isPaged: boolean;

  constructor(options: ModelFollowingOptions) {
    this.#options = options;
    this.#sent = new Set(options.known);
    this.#readAt = options.readAt;
    this.#isPaged = options.past === null;
  }

  get past(): ModelPast | null {
    return this.#options.past;
  }

  get isWaiting(): boolean {
    return this.past?.isAnswered === false;
  }

  get isPaging(): boolean {
    return !this.#isPaged && !this.isWaiting;
  }

  get isLive(): boolean {
    return this.#isPaged;
  }

  /** At most so many samples of the past, and whether that was the rest. */
  page(
    atMost: number,
    second: number,
  ): { readonly samples: readonly object[]; readonly done: boolean } {
    const due = this.#due();
    const page = due.slice(0, atMost);
    this.#isPaged = page.length === due.length;
    return { samples: this.#send(page, second), done: this.#isPaged };
  }

  /** What was stored since. */
  push(second: number): readonly object[] {
    const floor = this.#readAt === null ? "" : at(this.#readAt - LATE_SECONDS);
    return this.#send(this.#due().filter(({ timestamp }) => timestamp > floor), second);
  }

  #due(): readonly Stored[] {
    const { from, stored } = this.#options;
    return stored.filter(({ timestamp }) => timestamp > (from ?? "") && !this.#sent.has(timestamp))
      .sort((one, other) => one.timestamp < other.timestamp ? -1 : 1);
  }

  #send(due: readonly Stored[], second: number): readonly object[] {
    this.#readAt = second;
    for (const { timestamp } of due) this.#sent.add(timestamp);
    return due.map(({ timestamp, n }) => ({ timestamp, metrics: { n } }));
  }
}
