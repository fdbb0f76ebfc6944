// The service as an operator runs it: main.ts in a process of its own, with the permissions of the task `start`.
import { SETTING_NAMES } from "../../src/config.ts";
import { keepLog } from "../support/kept_logs.ts";
import { until } from "../support/until.ts";

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

const ROOT = new URL("../../", import.meta.url).pathname;

/** The arguments of `deno` in the task `start`; a developer's own .env has no business in a test. */
async function startArguments(entry: string): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  const [deno, ...words] = (tasks.start as string).split(" ");
  if (deno !== "deno" || words.at(-1) !== "main.ts") {
    throw new Error(`Cannot read the task start: ${tasks.start}`);
  }
  return [...words.slice(0, -1).filter((word) => word !== "--env-file"), entry];
}

export class ServiceProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  readonly status: Promise<Deno.CommandStatus>;
  #out = "";
  #err = "";
  #hasEnded = false;

  static async start(
    settings: Readonly<Record<string, string>>,
    { entry = "main.ts", openFiles = null, without = null }: {
      entry?: string;
      /** Descriptors that it may open, where not as many as this process may. */
      openFiles?: number | null;
      /** A permission of the task to leave out. */
      without?: string | null;
    } = {},
  ): Promise<ServiceProcess> {
    const env = Deno.env.toObject();
    for (const name of SETTING_NAMES) delete env[name];
    const words = (await startArguments(entry)).filter((word) => word !== without);
    const limited = `ulimit -n ${openFiles} && exec "$0" "$@"`;
    const [program, args] = openFiles === null
      ? [Deno.execPath(), words]
      : ["sh", ["-c", limited, Deno.execPath(), ...words]];
    const child = new Deno.Command(program, {
      args,
      cwd: ROOT,
      clearEnv: true,
      env: { ...env, NO_COLOR: "1", ...settings },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new ServiceProcess(child);
  }

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#reading = Promise.all([
      collect(child.stdout, (text) => this.#out += text),
      collect(child.stderr, (text) => this.#err += text),
    ]).then(() => {});
    this.status = child.status.then(async (status) => {
      this.#hasEnded = true;
      await this.#reading;
      keepLog(this.said);
      return status;
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  get stderr(): string {
    return this.#err;
  }

  /** Everything that it said. */
  get said(): string {
    return this.#out + this.#err;
  }

  /** The records that it logged so far. */
  get records(): readonly LogLine[] {
    return this.said.split("\n").filter((line) => line.startsWith("{")).map((line) =>
      JSON.parse(line)
    );
  }

  /** The first record of an event; fails when the process ends before it comes. */
  async logged(message: string): Promise<LogLine> {
    const find = () => this.records.find((record) => record.message === message);
    await until(() => find() !== undefined || this.#hasEnded, {
      withinMs: 60_000,
      what: `"${message}" in the log`,
    });
    const record = find();
    if (record === undefined) throw new Error(`Process ended without "${message}": ${this.said}`);
    return record;
  }

  /** The port that it listens on. */
  async port(): Promise<number> {
    return Number(new URL(String((await this.logged("listening")).address)).port);
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
    await this.status;
  }
}

async function collect(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (text: string) => void,
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) take(text);
}
