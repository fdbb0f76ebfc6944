// What a bench is to the harness: a name, what it shows, and a run that gives rows or throws. A run that throws gives no
// result at all.

import type { Shared } from "./shared.ts";

/** One line of the report. */
export interface Row {
  readonly what: string;
  /** The figure, with its unit. */
  readonly value: string;
  /** How it compares with the control of the same run. */
  readonly ratio?: string;
  /** From the least to the greatest of the rounds. */
  readonly spread?: string;
  readonly goal?: string;
  /** Null where nothing is asked of the figure. */
  readonly isMet: boolean | null;
}

export interface BenchOptions {
  /** One for a measurement; small where only the way is to be tried. */
  readonly scale: number;
  readonly rounds: number;
  /** Told of what goes on. */
  readonly say: (text: string) => void;
  readonly shared: Shared;
}

export interface Bench {
  readonly name: string;
  /** What it does, in one sentence. */
  readonly work: string;
  /** What it shares with others, by name; everything else that is shared is closed before it runs. */
  readonly shares?: readonly string[];
  run(options: BenchOptions): Promise<readonly Row[]>;
}
