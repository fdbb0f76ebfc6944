// One subscribe's way back into the past: answered once, and over when its last device has joined the present or is not
// wanted any more. It reads nothing.
import type { Resume } from "../protocol/server_messages.ts";

export interface HistoryStartOptions {
  /** Where each device was asked to begin. */
  readonly after: ReadonlyMap<string, string>;
  readonly answered: (resumes: Readonly<Record<string, Resume>>) => void;
  /** Ends it with the connection. */
  readonly parent: AbortSignal;
}

export class HistoryStart {
  readonly #options: HistoryStartOptions;
  readonly #controller = new AbortController();
  readonly #waiting: Set<string>;
  readonly #end = () => this.#controller.abort();
  #isAnswered = false;

  constructor(options: HistoryStartOptions) {
    this.#options = options;
    this.#waiting = new Set(options.after.keys());
    options.parent.addEventListener("abort", this.#end, { once: true });
    if (options.parent.aborted) this.#end();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Says where each device really begins; those that are not said were replaced meanwhile. */
  answer(resumes: ReadonlyMap<string, Resume>): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    const said: Record<string, Resume> = Object.create(null);
    for (const [deviceId, from] of this.#options.after) {
      said[deviceId] = resumes.get(deviceId) ?? { from, complete: false, reason: "replaced" };
    }
    this.#options.answered(said);
  }

  /** Takes note that a device has joined the present. */
  joined(deviceId: string): void {
    this.#waiting.delete(deviceId);
    if (this.#waiting.size === 0) this.#options.parent.removeEventListener("abort", this.#end);
  }

  /** Leaves out a device that is not wanted any more; with the last one, it is over. */
  leave(deviceId: string): void {
    this.#waiting.delete(deviceId);
    if (this.#waiting.size > 0) return;
    if (!this.#options.parent.aborted) this.answer(new Map());
    this.#options.parent.removeEventListener("abort", this.#end);
    this.#end();
  }
}
