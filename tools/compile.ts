// Makes executables of the service: `deno task compile` for this machine, with names of targets or "all" for others. It
// must say what is missing where the runtime part of an executable can't be had.
import { compileArguments, outputOf, type TargetName, TARGETS } from "./compile_arguments.ts";

const USAGE = `Usage: deno task compile [all | ${Object.keys(TARGETS).join(" | ")}]…

Without a target it compiles for this machine, into ${outputOf(null)}.`;

/** Compiles and passes on what the compiler says; its exit code, and all that it said. */
async function compile(target: TargetName | null): Promise<{ code: number; said: string }> {
  const child = new Deno.Command("deno", {
    args: compileArguments({ target }),
    stdin: "null",
    stdout: "inherit",
    stderr: "piped",
  }).spawn();
  let said = "";
  const encoder = new TextEncoder();
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    said += text;
    const bytes = encoder.encode(text);
    for (let sent = 0; sent < bytes.length;) sent += await Deno.stderr.write(bytes.subarray(sent));
  }
  const { code } = await child.status;
  return { code, said };
}

function complain(text: string): void {
  // deno-lint-ignore no-console -- it is a command
  console.error(text);
}

function explain(target: TargetName | null, said: string): string {
  const name = target ?? "this machine";
  if (!/denort/.test(said)) return `Cannot compile for ${name}: see above`;
  return `Cannot compile for ${name}: the runtime part of an executable (denort) can't be downloaded.
Fetch denort ${Deno.version.deno} for ${
    target === null ? "it" : TARGETS[target]
  } where that is possible, unpack it, and set DENORT_BIN to its path`;
}

function targetsOf(words: readonly string[]): readonly (TargetName | null)[] | null {
  const names = Object.keys(TARGETS) as TargetName[];
  if (words.length === 0) return [null];
  if (words.length === 1 && words[0] === "all") return names;
  const known = names.filter((name) => words.includes(name));
  return words.every((word) => names.includes(word as TargetName)) ? known : null;
}

if (Deno.args.some((word) => word === "--help" || word === "-h")) {
  // deno-lint-ignore no-console -- it is a command
  console.log(USAGE);
  Deno.exit(0);
}
const targets = targetsOf(Deno.args);
if (targets === null) {
  complain(`${Deno.args.join(" ")} is not a list of targets\n\n${USAGE}`);
  Deno.exit(2);
}
if (targets.length > 1 && Deno.env.get("DENORT_BIN")) {
  complain("DENORT_BIN names the runtime part for one target: compile one at a time");
  Deno.exit(2);
}
// What is left out of packages can be found only where they are.
const cached = await new Deno.Command("deno", {
  args: ["cache", "--frozen", "main.ts"],
  stdin: "null",
}).spawn().status;
if (!cached.success) {
  complain("Cannot fetch the packages that deno.lock names: see above");
  Deno.exit(1);
}
for (const target of targets) {
  const { code, said } = await compile(target);
  if (code !== 0) {
    complain(`\n${explain(target, said)}`);
    Deno.exit(1);
  }
}
