// Reads which module imports which out of the sources' text; it must never run or resolve anything.
import { join, posix, relative } from "node:path";

export interface Import {
  /** Path of the importing file, from the root it was looked for in. */
  readonly from: string;
  /** Path of the imported file from the same root, or a bare specifier as it stands. */
  readonly to: string;
  readonly isBare: boolean;
  /** Whether it leaves nothing behind at run time. */
  readonly isTypeOnly: boolean;
}

const STATIC = /^(?:import|export)\s(?:(type)\s)?[^;'"]*?from\s+"([^"]+)"/gm;
const SIDE_EFFECT = /^import\s+"([^"]+)"/gm;
const DYNAMIC = /\bimport\(\s*"([^"]+)"/g;

/** The imports of one file's text. */
export function importsOf(from: string, text: string): readonly Import[] {
  const found = [
    ...[...text.matchAll(STATIC)].map(([, type, to]) => ({ to, isTypeOnly: type === "type" })),
    ...[...text.matchAll(SIDE_EFFECT)].map(([, to]) => ({ to, isTypeOnly: false })),
    ...[...text.matchAll(DYNAMIC)].map(([, to]) => ({ to, isTypeOnly: false })),
  ];
  return found.map(({ to = "", isTypeOnly }) => {
    const isBare = !to.startsWith(".");
    return { from, to: isBare ? to : posix.join(posix.dirname(from), to), isBare, isTypeOnly };
  });
}

/** Every TypeScript file under a folder, by its path from `root`, with its text. */
export async function readSources(
  folder: string,
  { root }: { readonly root: string },
): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) {
      for (const [name, text] of await readSources(path, { root })) files.set(name, text);
    } else if (/\.tsx?$/.test(entry.name)) {
      files.set(relative(root, path).replaceAll("\\", "/"), await Deno.readTextFile(path));
    }
  }
  return files;
}
