// The command line as a person runs it: main.ts in a process of its own, with the permissions of the task `start`.
import { SETTING_NAMES } from "../../src/config.ts";
import { until } from "../support/until.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** The arguments of `deno` in the task `start`; a developer's own .env has no business in a test. */
async function startArguments(): Promise<readonly string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  const [deno, ...words] = (tasks.start as string).split(" ");
  if (deno !== "deno" || words.at(-1) !== "main.ts") {
    throw new Error(`Cannot read the task start: ${tasks.start}`);
  }
  return words.filter((word) => word !== "--env-file");
}

export interface CliOptions {
  readonly settings?: Readonly<Record<string, string>>;
  /** What stands on standard input. */
  readonly input?: string;
  /** Permissions beside those of the task. */
  readonly more?: readonly string[];
}

export class CliProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #reading: Promise<unknown>;
  readonly status: Promise<Deno.CommandStatus>;
  #hasEnded = false;
  stdout = "";
  stderr = "";

  static async start(
    args: readonly string[],
    { settings = {}, input, more = [] }: CliOptions = {},
  ): Promise<CliProcess> {
    const env = Deno.env.toObject();
    for (const name of SETTING_NAMES) delete env[name];
    const words = await startArguments();
    const child = new Deno.Command(Deno.execPath(), {
      args: [...words.slice(0, -1), ...more, "main.ts", ...args],
      cwd: ROOT,
      clearEnv: true,
      env: { ...env, NO_COLOR: "1", ...settings },
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    if (input !== undefined) {
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(input));
      await writer.close();
    }
    return new CliProcess(child);
  }

  /** Runs it to its end. */
  static async run(args: readonly string[], options: CliOptions = {}): Promise<CliProcess> {
    const cli = await CliProcess.start(args, options);
    try {
      await until(() => cli.#hasEnded, { withinMs: 120_000, what: `the end of ${args[0]}` });
    } catch (error) {
      await cli[Symbol.asyncDispose]();
      throw error;
    }
    await cli.status;
    return cli;
  }

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#reading = Promise.all([this.#readOut(), this.#readErr()]);
    this.status = child.status.then(async (status) => {
      this.#hasEnded = true;
      await this.#reading;
      return status;
    });
  }

  get said(): string {
    return this.stdout + this.stderr;
  }

  /** The JSON messages of standard output. */
  get messages(): readonly Record<string, unknown>[] {
    return this.stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line));
  }

  /** Waits until standard output or error holds it; fails when the process ends before. */
  async saying(what: (cli: CliProcess) => boolean, name: string): Promise<void> {
    await until(() => what(this) || this.#hasEnded, { withinMs: 60_000, what: name });
    if (!what(this)) throw new Error(`Process ended without ${name}: ${this.said}`);
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Nobody reads its standard output any more. */
  async stopReading(): Promise<void> {
    await this.#reader.cancel();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
    await this.status;
  }

  async #readOut(): Promise<void> {
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done) return;
      this.stdout += value;
    }
  }

  async #readErr(): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.stderr += text;
    }
  }
}
