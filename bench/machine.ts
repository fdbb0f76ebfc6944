// What a report says of where its figures come from: the commit, the runtime and the machine.
import { cpus, release, totalmem } from "node:os";

export interface Machine {
  readonly commit: string;
  readonly deno: string;
  readonly v8: string;
  readonly os: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  /** Processes that wanted a core when the run began, beside the bench. */
  readonly loadBefore: number;
}

export async function describeMachine(): Promise<Machine> {
  const processors = cpus();
  return {
    commit: await commitOf(),
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    os: `${Deno.build.os} ${release()}`,
    cpu: processors[0]?.model ?? "unknown",
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / (1 << 30)),
    loadBefore: Deno.loadavg()[0] ?? 0,
  };
}

/** What a figure may depend on. */
const MEASURED = ["src", "bench", "tests/support", "deno.json", "deno.lock"];

/** With `+` where files differ from it. */
async function commitOf(): Promise<string> {
  const git = async (...args: string[]) => {
    const { stdout } = await new Deno.Command("git", {
      args,
      cwd: new URL("..", import.meta.url).pathname,
      stderr: "null",
    }).output();
    return new TextDecoder().decode(stdout).trim();
  };
  try {
    const commit = await git("rev-parse", "--short=12", "HEAD");
    return commit + (await git("status", "--porcelain", "--", ...MEASURED) === "" ? "" : "+");
  } catch (error) {
    // Outside a repository, or without git.
    if (error instanceof Deno.errors.NotFound) return "unknown";
    throw error;
  }
}
