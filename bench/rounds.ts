// Measures several subjects in turn, round after round, so that whatever else the machine does meets all of them; the
// first round is thrown away. It must never compare figures of different rounds.
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
  readonly #turns = new Map<string, Turn[]>();

  constructor(control: string) {
    this.#control = control;
  }

  /** Runs every subject once a round, and a round more than is counted. */
  async measure(
    subjects: ReadonlyMap<string, (round: number) => Promise<Turn>>,
    rounds: number,
  ): Promise<void> {
    for (let round = 0; round <= rounds; round++) {
      for (const [name, turn] of subjects) {
        const brought = await turn(round);
        if (round === 0) continue;
        const turns = this.#turns.get(name) ?? [];
        turns.push(brought);
        this.#turns.set(name, turns);
      }
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

  #valuesOf(name: string, figure: string): readonly number[] {
    return (this.#turns.get(name) ?? []).map((turn) => {
      const value = turn[figure];
      if (value === undefined) throw new Error(`${name} brought no ${figure}`);
      return value;
    });
  }
}
