// Writes what the benches brought: a table for people and a file for programs.
import type { Bench, Row } from "./bench.ts";
import type { Machine } from "./machine.ts";

export interface Result {
  readonly bench: Pick<Bench, "name" | "work">;
  readonly seconds: number;
  readonly rows: readonly Row[];
}

export interface Report {
  readonly at: string;
  readonly machine: Machine;
  readonly rounds: number;
  readonly results: readonly Result[];
}

const HEADS = ["what", "figure", "to control", "spread", "goal", ""] as const;

/** A table in Markdown. */
export function tableOf({ bench, rows, seconds }: Result): string {
  const cells = rows.map((row) => [
    row.what,
    row.value,
    row.ratio ?? "",
    row.spread ?? "",
    row.goal ?? "",
    row.isMet === null ? "" : row.isMet ? "met" : "**not met**",
  ]);
  // A column in which nothing stands is left out: without a dash below its head there would be no table.
  const columns = [...HEADS.keys()].filter((column) => cells.some((line) => line[column] !== ""));
  const widths = HEADS.map((head, column) =>
    Math.max(head.length, ...cells.map((line) => (line[column] as string).length))
  );
  const line = (words: readonly string[]) =>
    `| ${
      columns.map((column) => (words[column] as string).padEnd(widths[column] as number)).join(
        " | ",
      )
    } |`;
  return [
    `### ${bench.name}`,
    "",
    `${bench.work}. (${seconds.toFixed(0)} s)`,
    "",
    line(HEADS),
    line(widths.map((width) => "-".repeat(width))),
    ...cells.map(line),
    "",
  ].join("\n");
}

export function headOf({ at, machine, rounds }: Omit<Report, "results">): string {
  const { commit, deno, v8, os, cpu, cores, memoryGiB, loadBefore } = machine;
  return `Commit ${commit}, Deno ${deno} (V8 ${v8}), ${os}, ${cores} × ${cpu}, ${memoryGiB} GiB, ${at}; ` +
    `median of ${rounds} rounds after one that is thrown away; load average when it began ${
      loadBefore.toFixed(1)
    }`;
}
