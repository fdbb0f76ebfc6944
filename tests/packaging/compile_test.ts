// What an executable of the service holds and may do. The runtime's own program stands in for the part of it that would be
// downloaded, so that everything but running it is seen.
import assert from "node:assert/strict";
import {
  compileArguments,
  embeddedFiles,
  outputOf,
  TARGETS,
} from "../../tools/compile_arguments.ts";
import { readExecutable } from "./executable.ts";
import { modulesOfMain } from "./module_graph.ts";

const ROOT = new URL("../../", import.meta.url);
const manifest = JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT)));

const isPermission = (word: string) => /^--(no-prompt|allow-|ignore-|deny-)/.test(word);

/** The permissions of the task `start` as an executable's settings name them. */
function permissionsOfStart(): Record<string, unknown> {
  const words = (manifest.tasks.start as string).split(" ").filter(isPermission);
  const permissions: Record<string, unknown> = { prompt: !words.includes("--no-prompt") };
  for (const word of words.filter((word) => word !== "--no-prompt")) {
    const [, name = "", list] = /^--([a-z-]+)(?:=(.*))?$/.exec(word) ?? [];
    permissions[name.replaceAll("-", "_")] = list === undefined ? [] : list.split(",");
  }
  return permissions;
}

async function run(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number; said: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: ROOT,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, said: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("An executable holds what main.ts loads, the dashboard and the SQL, and nothing else of here", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pulsewire-compile-" });
  try {
    const output = `${folder}/pulsewire`;
    const [command = "", ...words] = compileArguments({ target: null, output });
    const compiled = await run([command, "--no-check", ...words], { DENORT_BIN: Deno.execPath() });
    assert.equal(compiled.code, 0, compiled.said);
    const { settings, files } = await readExecutable(output);

    const own = files.filter((path) => !path.startsWith(".deno_compile_node_modules/"));
    const expected = [...await modulesOfMain(), ...embeddedFiles()];
    assert.deepEqual(own.toSorted(), [...new Set(expected)].sort());
    assert.ok(own.some((path) => path.startsWith("sql/")), "no SQL");
    assert.ok(own.some((path) => /^src\/dashboard\/assets\/.*\.html$/.test(path)), "no dashboard");
    const hidden = files.filter((path) => /(^|\/)\.env/.test(path));
    assert.deepEqual(hidden, []);
    for (const name of ["fast-check", "electric-sql", "playwright-core", "esbuild"]) {
      assert.ok(!files.some((path) => path.includes(`/${name}/`)), `${name} is for tests only`);
    }

    assert.equal(settings.entrypoint_key, "main.ts");
    assert.equal(settings.v8_flags.at(-1), "--max-semi-space-size=8");
    assert.deepEqual(settings.env_vars_from_env_file, {});
    // What is asked before a module of another host is loaded; main.ts names none.
    const { allow_import: _, ...permissions } = settings.permissions;
    const given = Object.entries(permissions).filter(([, value]) => value !== null);
    assert.deepEqual(Object.fromEntries(given), permissionsOfStart());
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Every target is compiled with the same words and into a file of its own", () => {
  const names = Object.keys(TARGETS) as (keyof typeof TARGETS)[];
  const outputs = names.map((target) => outputOf(target));
  assert.equal(new Set([...outputs, outputOf(null)]).size, names.length + 1);
  for (const target of names) {
    const words = compileArguments({ target });
    const at = words.indexOf("--target");
    assert.equal(words[at + 1], TARGETS[target]);
    const output = outputOf(target);
    assert.equal(words[words.indexOf("--output") + 1], output);
    const here = compileArguments({ target: null, output });
    assert.deepEqual(words.toSpliced(at, 2), here);
  }
  for (const cpu of ["x86_64", "aarch64"]) {
    for (const system of ["linux", "apple"]) {
      assert.ok(
        Object.values(TARGETS).some((name) => name.startsWith(cpu) && name.includes(system)),
      );
    }
  }
  assert.ok(Object.values(TARGETS).some((name) => name.includes("windows")));
});

Deno.test("The task says what to do where the runtime part can't be downloaded", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pulsewire-compile-" });
  try {
    // What the compiler says then, from a program in its place: what it has in its cache is not for a test to change.
    const refusal = "error sending request for url (…/denort-x86_64-pc-windows-msvc.zip)";
    const answers = [
      `info) echo '{"npmCache":"/nonexistent"}' ;;`,
      `compile) echo '${refusal}' >&2; exit 1 ;;`,
    ];
    await Deno.writeTextFile(
      `${folder}/deno`,
      `#!/bin/sh\ncase $1 in\n${answers.join("\n")}\nesac\n`,
    );
    await Deno.chmod(`${folder}/deno`, 0o755);
    const [, ...words] = (manifest.tasks.compile as string).split(" ");
    const PATH = `${folder}:${Deno.env.get("PATH")}`;
    const { code, said } = await run([...words, "windows-x64"], { PATH });
    assert.equal(code, 1, said);
    assert.ok(said.includes(refusal), "the compiler's own words are lost");
    assert.match(said, /Cannot compile for windows-x64: the runtime part .* can't be downloaded/);
    assert.match(said, new RegExp(`denort ${Deno.version.deno} for x86_64-pc-windows-msvc`));
    assert.match(said, /DENORT_BIN/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("The task says how it is used, and compiles nothing then", async () => {
  const [, ...words] = (manifest.tasks.compile as string).split(" ");
  for (const flags of [["--help"], ["linux-x64", "-h"]]) {
    // A program that can't be found: whatever it would begin fails.
    const { code, said } = await run([...words, ...flags], { PATH: "/nonexistent" });
    assert.equal(code, 0, said);
    assert.match(said, /^Usage: deno task compile /);
    for (const name of Object.keys(TARGETS)) assert.ok(said.includes(name));
  }
});

Deno.test("The task refuses a target that it does not know", async () => {
  const [, ...words] = (manifest.tasks.compile as string).split(" ");
  const { code, said } = await run([...words, "linux-x64", "amiga"]);
  assert.equal(code, 2);
  assert.match(said, /amiga is not a list of targets/);
  for (const name of Object.keys(TARGETS)) assert.ok(said.includes(name));
});
