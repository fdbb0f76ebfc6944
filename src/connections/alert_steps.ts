// The whole states of a tenant's alerts as its connections share them: the newest one, and the steps that led to it for
// who missed some. It must never let two states that do not follow each other pass for a step.
import type { AlertState, WholeAlerts } from "../feed/seam.ts";
import type { Frame } from "../protocol/frame.ts";
import type { AlertChanges } from "../protocol/server_messages.ts";

/** A whole state, numbered here: a feed begins anew when nobody needs it for a while. */
export interface Whole extends WholeAlerts {
  readonly seq: number;
  readonly readAt: number;
}

/** What changed from one whole state to the next. */
export interface AlertStep {
  readonly number: number;
  readonly readAt: number;
  /** Null where nothing did. */
  readonly changes: AlertChanges | null;
  /** The message for those who follow everything, once somebody asked for it. */
  frame: Frame | null;
}

/** Steps that are kept: mostly empty, and what one of them told is looked up when a client catches up. */
const KEPT_STEPS = 64;

export class AlertSteps {
  #newest: Whole | null = null;
  #steps: readonly AlertStep[] = [];
  #number = 0;
  /** The number that the feed gave the newest state; null before the first. */
  #feedNumber: number | null = null;
  readonly #waiting = new Set<() => void>();

  get newest(): Whole | null {
    return this.#newest;
  }

  take({ whole, seq, readAt }: AlertState): void {
    if (whole === null) return;
    const isNext = this.#feedNumber !== null && whole.number === this.#feedNumber + 1;
    // Where one is missing this number has no step: who stood before it finds it gone.
    this.#number++;
    const { changes } = whole;
    const step: AlertStep = { number: this.#number, readAt, changes, frame: null };
    this.#steps = isNext ? [...this.#steps.slice(1 - KEPT_STEPS), step] : [];
    this.#feedNumber = whole.number;
    this.#newest = { ...whole, number: this.#number, seq, readAt };
    for (const arrived of [...this.#waiting]) arrived();
  }

  /** Nobody needs them any more. */
  forget(): void {
    this.#newest = null;
    this.#steps = [];
    this.#feedNumber = null;
  }

  /** The steps after the numbered state, in order; null when some of them are not kept any more. */
  after(number: number): readonly AlertStep[] | null {
    if (number === this.#number) return [];
    const steps = this.#steps.filter((step) => step.number > number);
    return steps[0]?.number === number + 1 ? steps : null;
  }

  /** Whether a step up to the numbered state closed the alert, as far as steps are kept. */
  hasClosed(alertId: number, number: number): boolean {
    return this.#steps.some((step) =>
      step.number <= number && step.changes?.closed.includes(alertId) === true
    );
  }

  /** Resolves with the next state, or with null when the signal aborts first. */
  next(signal: AbortSignal): Promise<Whole | null> {
    if (signal.aborted) return Promise.resolve(null);
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve(signal.aborted ? null : this.#newest);
      };
      this.#waiting.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}
