// What one check found, and how that is said in a line; it must never hold a secret.
import { SourceError } from "../sources/source_error.ts";
import { printable } from "./printable.ts";

export interface Verdict {
  readonly name: string;
  readonly outcome: "ok" | "failed" | "skipped";
  readonly detail: string;
  /** What to do about it; null where nothing is to be done, or the detail says it. */
  readonly cure: string | null;
}

export function ok(name: string, detail: string): Verdict {
  return { name, outcome: "ok", detail, cure: null };
}

export function skipped(name: string, detail: string, cure: string | null = null): Verdict {
  return { name, outcome: "skipped", detail, cure };
}

export function fault(name: string, error: unknown, cure: string | null): Verdict {
  const detail = error instanceof Error ? error.message : String(error);
  return { name, outcome: "failed", detail, cure };
}

/** Whether the database as a whole, and not only this read, is the trouble. */
export function isAway(error: unknown): boolean {
  return !(error instanceof SourceError) || error.kind === "unavailable" || error.kind === "denied";
}

const NAME_WIDTH = 20;

/** One line, whatever the parts hold. */
export function verdictLine({ name, outcome, detail, cure }: Verdict): string {
  const cureText = cure === null ? "" : `; cure: ${cure}`;
  return printable(`${outcome.padEnd(8)}${name.padEnd(NAME_WIDTH)} ${detail}${cureText}`);
}
