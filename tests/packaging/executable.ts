// Reads what `deno compile` put into an executable: its settings and the names of its files. It must fail, not guess, where
// the form is another.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";

export interface Executable {
  readonly settings: {
    readonly permissions: Readonly<Record<string, unknown>>;
    readonly entrypoint_key: string;
    readonly v8_flags: readonly string[];
    readonly env_vars_from_env_file: Readonly<Record<string, string>>;
  };
  /** Paths from the root of the repository, packages' files included. */
  readonly files: readonly string[];
}

type Entry =
  | { readonly Dir: { readonly n: string; readonly e: readonly Entry[] } }
  | { readonly File: { readonly n: string } }
  | { readonly Symlink: { readonly n: string } };

const MAGIC = "d3n0l4nd";

export async function readExecutable(path: string): Promise<Executable> {
  const bytes = Buffer.from((await Deno.readFile(path)).buffer);
  const start = bytes.indexOf(`${MAGIC}${MAGIC}`);
  assert.ok(start > 0, "no section of deno compile");
  const settings = sized(bytes, start + 2 * MAGIC.length);
  const tree = bytes.indexOf('[{"Dir":{"n":', settings.end);
  assert.ok(tree > 0, "no tree of files");
  return {
    settings: JSON.parse(settings.text),
    files: JSON.parse(sized(bytes, tree - 8).text).flatMap((entry: Entry) => pathsOf(entry, "")),
  };
}

/** A text behind its length, which takes eight bytes. */
function sized(bytes: Buffer, offset: number): { readonly text: string; readonly end: number } {
  const from = offset + 8;
  const end = from + Number(bytes.readBigUInt64LE(offset));
  assert.ok(end < bytes.length, "a length leads past the end");
  return { text: bytes.toString("utf8", from, end), end };
}

function pathsOf(entry: Entry, folder: string): readonly string[] {
  if ("Dir" in entry) {
    return entry.Dir.e.flatMap((child) => pathsOf(child, `${folder}${entry.Dir.n}/`));
  }
  return [folder + ("File" in entry ? entry.File.n : entry.Symlink.n)];
}
