// Reads a file that operators are given and changes what they would change; it must never leave a change unmade.
import assert from "node:assert/strict";

const ROOT = new URL("../../", import.meta.url);

/** The path of an installed program, or null. */
export function findProgram(name: string): string | null {
  for (const folder of ["/usr/sbin", "/usr/bin", "/usr/local/bin"]) {
    try {
      if (Deno.statSync(`${folder}/${name}`).isFile) return `${folder}/${name}`;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return null;
}

/** The text of a file, by its path from the root of the repository. */
export function readExample(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

/** The text with each key replaced by its value; each must stand there exactly once. */
export function changed(text: string, changes: Readonly<Record<string, string>>): string {
  let result = text;
  for (const [from, to] of Object.entries(changes)) {
    assert.equal(text.split(from).length, 2, `"${from}" must stand there once`);
    result = result.replace(from, () => to);
  }
  return result;
}
