// Measures several subjects in turn, round after round, so that whatever else the machine does meets all of them. It
// must never compare figures of different rounds.
import { median, spread } from "./statistics.ts";

/** What one turn of one subject brought, by the figures' names. */
export type Turn = Readonly<Record<string, number>>;

export interface Compared {
  readonly median: number;
  /** Of the figure's ratios to the control's of the same round. */
  readonly ratio: number;
  readonly ratioSpread: string;
  readonly spread: string;
}

export class Rounds {
  readonly #control: string;
  readonly #discarded: number;
  readonly #turns = new Map<string, Turn[]>();

  /** A round that is thrown away warms up what goes on to the next; where nothing does, there is none to discard. */
  constructor(control: string, { discarded = 1 }: { readonly discarded?: number } = {}) {
    this.#control = control;
    this.#discarded = discarded;
  }

  /** Runs every subject once a round, in turn. */
  async measure(
    subjects: ReadonlyMap<string, (round: number) => Promise<Turn>>,
    rounds: number,
  ): Promise<void> {
    for (let round = 0; round < rounds + this.#discarded; round++) {
      for (const [name, turn] of subjects) {
        this.#note(name, { round, brought: await turn(round) });
      }
    }
  }

  /** The same with all subjects at once, for work that leaves them room: what else goes on then meets all alike. */
  async measureTogether(
    subjects: ReadonlyMap<string, (round: number) => Promise<Turn>>,
    rounds: number,
  ): Promise<void> {
    for (let round = 0; round < rounds + this.#discarded; round++) {
      const outcomes = await Promise.allSettled(
        [...subjects].map(async ([name, turn]) => {
          this.#note(name, { round, brought: await turn(round) });
        }),
      );
      // Only now: the others have ended, and whatever comes next has the machine for itself.
      for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    }
  }

  of(name: string, figure: string, write?: (value: number) => string): Compared {
    const values = this.#valuesOf(name, figure);
    const control = this.#valuesOf(this.#control, figure);
    const ratios = values.map((value, round) => value / (control[round] as number));
    return {
      median: median(values),
      ratio: median(ratios),
      ratioSpread: spread(ratios),
      spread: spread(values, write),
    };
  }

  /** How much more of it the first brought than the second, round by round. */
  ratio(
    figure: string,
    [name, other]: readonly [string, string],
  ): { readonly median: number; readonly spread: string } {
    const others = this.#valuesOf(other, figure);
    const ratios = this.#valuesOf(name, figure).map((value, nth) =>
      value / (others[nth] as number)
    );
    return { median: median(ratios), spread: spread(ratios) };
  }

  #note(
    name: string,
    { round, brought }: { readonly round: number; readonly brought: Turn },
  ): void {
    if (round < this.#discarded) return;
    const turns = this.#turns.get(name) ?? [];
    turns.push(brought);
    this.#turns.set(name, turns);
  }

  #valuesOf(name: string, figure: string): readonly number[] {
    return (this.#turns.get(name) ?? []).map((turn) => {
      const value = turn[figure];
      if (value === undefined) throw new Error(`${name} brought no ${figure}`);
      return value;
    });
  }
}
