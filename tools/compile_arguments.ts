// What `deno compile` is told for each target. An executable must get the permissions of the task `start`, no other, its bounds, and
// hold the dashboard and the SQL.
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Names that people use, and the compiler's own. */
export const TARGETS = {
  "linux-x64": "x86_64-unknown-linux-gnu",
  "linux-arm64": "aarch64-unknown-linux-gnu",
  "macos-x64": "x86_64-apple-darwin",
  "macos-arm64": "aarch64-apple-darwin",
  "windows-x64": "x86_64-pc-windows-msvc",
} as const;

export type TargetName = keyof typeof TARGETS;

const EMBEDDED_FOLDERS = ["src/dashboard/assets", "sql"];

export interface Compilation {
  /** Null: the machine that compiles. */
  readonly target: TargetName | null;
  /** Default: below `dist`, named after the target. */
  readonly output?: string;
}

/** Arguments of `deno` for an executable, from the root of the repository; its packages must be in the cache. */
export function compileArguments({ target, output = outputOf(target) }: Compilation): string[] {
  return [
    "compile",
    ...flags(),
    ...embeddedFiles().flatMap((path) => ["--include", path]),
    // The lock file's packages that only the demo and the tests use stay out.
    "--exclude-unused-npm",
    ...unreadableFolders().flatMap((path) => ["--exclude", path]),
    ...(target === null ? [] : ["--target", TARGETS[target]]),
    "--output",
    output,
    "main.ts",
  ];
}

/** Named one by one: a folder would be embedded with all that somebody left in it. */
export function embeddedFiles(): readonly string[] {
  return EMBEDDED_FOLDERS.flatMap((folder) =>
    [...Deno.readDirSync(join(root, folder))]
      .filter(({ isFile, name }) => isFile && /^[^.].*\.(css|html|js|sql|svg)$/.test(name))
      .map(({ name }) => `${folder}/${name}`)
  ).sort();
}

/**
 * Folders of packages that the compiler can't read: it takes bintrees' samples, a line of numbers each, for a program, and
 * overflows its stack.
 */
function unreadableFolders(): readonly string[] {
  const { success, stdout } = new Deno.Command("deno", { args: ["info", "--json"] }).outputSync();
  if (!success) throw new Error("Cannot learn where packages are cached: deno info failed");
  const { npmCache } = JSON.parse(new TextDecoder().decode(stdout)) as { npmCache: string };
  // Registry, package, version.
  return foldersIn(npmCache).flatMap((registry) => foldersIn(join(registry, "bintrees")))
    .map((version) => join(version, "test")).filter((path) => foldersIn(path).length > 0);
}

function foldersIn(path: string): readonly string[] {
  try {
    return [...Deno.readDirSync(path)].filter(({ isDirectory }) => isDirectory)
      .map(({ name }) => join(path, name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

export function outputOf(target: TargetName | null): string {
  if (target === null) return "dist/pulsewire";
  return `dist/pulsewire-${target}${target.startsWith("windows") ? ".exe" : ""}`;
}

function flags(): readonly string[] {
  const { tasks } = JSON.parse(Deno.readTextFileSync(join(root, "deno.json")));
  return (tasks.start as string).split(" ").filter((word) =>
    /^--(no-prompt|allow-|deny-|ignore-|v8-flags)/.test(word)
  );
}
