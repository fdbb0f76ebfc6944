// A process under attack: what it says, what it answers over its own stdin and stdout, and how many descriptors it
// holds, counted from outside. The questions live in the entry that is run, never in the product.
import { until } from "../support/until.ts";

export interface SubjectOptions {
  /** Arguments of `deno`. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

type Answer = Readonly<Record<string, number>>;

/** Descriptors can be counted where /proc is. */
export const CAN_COUNT_DESCRIPTORS = Deno.build.os === "linux";

export class SubjectProcess implements AsyncDisposable {
  readonly pid: number;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #status: Promise<Deno.CommandStatus>;
  readonly #lines: string[] = [];
  readonly #answers: Answer[] = [];
  #asked = 0;
  #hasEnded = false;

  static start({ args, env = {} }: SubjectOptions): SubjectProcess {
    const child = new Deno.Command(Deno.execPath(), {
      args: [...args],
      cwd: new URL("../../", import.meta.url).pathname,
      env: { NO_COLOR: "1", ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new SubjectProcess(child);
  }

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.pid = child.pid;
    this.#stdin = child.stdin.getWriter();
    const reading = Promise.all([this.#read(child.stdout), this.#read(child.stderr)]);
    this.#status = child.status.then(async (status) => {
      this.#hasEnded = true;
      await reading;
      return status;
    });
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Everything that it said beside its answers, a line each. */
  get said(): readonly string[] {
    return this.#lines;
  }

  /** Asks one of the questions that its entry knows. Rejects when the process has ended. */
  async ask(question: string, { withinMs = 60_000 } = {}): Promise<Answer> {
    const nth = ++this.#asked;
    if (!this.#hasEnded) await this.#stdin.write(new TextEncoder().encode(`${question}\n`));
    await until(() => this.#answers.length >= nth || this.#hasEnded, {
      withinMs,
      what: `The answer to "${question}"`,
    });
    const answer = this.#answers[nth - 1];
    if (answer === undefined) {
      throw new Error(`Process ended before it answered: ${this.#lines.slice(-20).join("\n")}`);
    }
    return answer;
  }

  async descriptors(): Promise<number> {
    return (await this.#list("fd")).length;
  }

  /** Connections to one of its own ports that it still holds. */
  async connectionsOn(port: number): Promise<number> {
    const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
    const command = new Deno.Command("cat", { args: [`/proc/${this.pid}/net/tcp`] });
    const rows = new TextDecoder().decode((await command.output()).stdout).split("\n").slice(1);
    // The table is the whole network's; whose a socket is, its descriptors say.
    const own = new Set(
      await this.#list("fd", ["-l"]).then((lines) =>
        lines.map((line) => /socket:\[(\d+)\]/.exec(line)?.[1])
      ),
    );
    return rows.map((row) => row.trim().split(/\s+/)).filter((columns) => {
      const [, local, , state] = columns;
      const isListening = state === "0A";
      return local?.endsWith(suffix) === true && !isListening && own.has(columns[9]);
    }).length;
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits for its end, at most so long. */
  async ended(withinMs: number): Promise<number> {
    await until(() => this.#hasEnded, { withinMs, what: "The process's end" });
    return (await this.#status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
    await this.#status;
    // The pipe may have ended with the process.
    await this.#stdin.close().catch(() => {});
  }

  async #list(folder: string, flags: readonly string[] = []): Promise<readonly string[]> {
    const command = new Deno.Command("ls", {
      args: [...flags, `/proc/${this.pid}/${folder}`],
      stderr: "null",
    });
    const { code, stdout } = await command.output();
    // 1 means that a descriptor was closed while it was looked at.
    if (code > 1) throw new Error(`Cannot look into process ${this.pid}: it has ended`);
    return new TextDecoder().decode(stdout).trim().split("\n");
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line.startsWith(ANSWER)) this.#answers.push(JSON.parse(line.slice(ANSWER.length)));
        else this.#lines.push(line);
      }
    }
    if (rest !== "") this.#lines.push(rest);
  }
}

const ANSWER = "answer ";

/** The other side: answers one line of stdin with one of stdout, until stdin ends. */
export async function answerQuestions(
  questions: Readonly<Record<string, () => Answer | Promise<Answer>>>,
): Promise<void> {
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const answer = questions[line];
      if (answer === undefined) throw new Error(`Cannot answer "${line}"`);
      console.log(`${ANSWER}${JSON.stringify(await answer())}`);
    }
  }
}
