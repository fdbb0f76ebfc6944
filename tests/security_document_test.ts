// docs/SECURITY.md against the code: each limit with its setting and default, each close code with its answer to
// whether to come back, and tests that exist behind its claims.
import assert from "node:assert/strict";
import { CLOSINGS } from "../src/errors.ts";
import { LIMITS } from "../src/limits/limits.ts";

const ROOT = new URL("../", import.meta.url);
const text = await Deno.readTextFile(new URL("docs/SECURITY.md", ROOT));

/** The cells of the rows that stand under the heading. */
function rowsOf(heading: string): readonly (readonly string[])[] {
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  assert(section !== undefined, `no section "${heading}"`);
  return section.split("\n").filter((line) => line.startsWith("|")).map((line) =>
    line.split("|").slice(1, -1).map((cell) => cell.trim())
  );
}

Deno.test("docs/SECURITY.md names every limit with its setting and its default, and no other", () => {
  const told = rowsOf("Limits").filter(([name]) => name?.startsWith("`")).map((
    [name, setting, value],
  ) => [name, setting, Number(value)]);
  const held = Object.entries(LIMITS).map((
    [name, { setting, fallback }],
  ) => [`\`${name}\``, `\`${setting}\``, fallback]);
  assert.deepEqual(told, held);
});

Deno.test("docs/SECURITY.md names every close code, and whether to come back as clients are told", () => {
  const words = {
    no: "no",
    with_jitter: "yes, with jitter",
    after_delay: "after a delay",
    with_new_token: "with another token",
  } as const;
  const held = new Map(
    Object.values(CLOSINGS).flatMap(({ closeCode, retry }) =>
      closeCode === null ? [] : [[String(closeCode), words[retry]] as const]
    ),
  );
  const told = rowsOf("Limits").filter(([code]) => /^\d+$/.test(code ?? "")).map((
    [code, , again],
  ) => [code, again]);
  assert.deepEqual(told, [...held].sort(([a], [b]) => Number(a) - Number(b)));
});

Deno.test("Every test that docs/SECURITY.md leans on exists, and every row of its tables leans on one", async () => {
  const named = new Set(text.match(/tests\/[\w/]+\.ts/g));
  assert(named.size > 20);
  for (const path of named) await Deno.stat(new URL(path, ROOT));
  const claims = [
    ...rowsOf("How tenants are kept apart"),
    ...rowsOf("Who, what they hold, and what they must not get"),
    ...rowsOf("Found and mended"),
  ].filter(([first]) => !/^(-+|Step|Who|Date)$/.test(first ?? ""));
  assert(claims.length > 20);
  for (const cells of claims) assert.match(cells.at(-1) ?? "", /`tests\//, cells.join(" | "));
});
