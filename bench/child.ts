// A process of a bench: asked by a line of JSON, answers with one; what it spends is read from the system. It must be
// ended by whoever started it.
import { type Usage, usageOf } from "./usage.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const ANSWER_MS = 180_000;

export class Child implements AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #waiting: Array<PromiseWithResolvers<unknown>> = [];
  readonly #reading: Promise<unknown>;
  #said = "";
  /** What it found wrong, whether it was asked just then or not. */
  #fault: string | null = null;
  #hasEnded = false;

  /** Starts a program of bench/ by its path there; what runs under another program is named by `command`. */
  static start(
    path: string,
    { args = [], env = {}, command = ["deno"], flags = [] }: {
      readonly args?: readonly unknown[];
      readonly env?: Readonly<Record<string, string>>;
      readonly command?: readonly string[];
      readonly flags?: readonly string[];
    } = {},
  ): Child {
    const [program = "deno", ...words] = command;
    const isDeno = program === "deno";
    const run = isDeno
      ? ["run", "--no-check", "--no-prompt", "--allow-all", "--ignore-env=PG*", ...flags]
      : words;
    const child = new Deno.Command(isDeno ? Deno.execPath() : program, {
      args: [...run, `bench/${path}`, ...args.map((arg) => JSON.stringify(arg))],
      cwd: ROOT,
      env: { NO_COLOR: "1", ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new Child(path, child);
  }

  private constructor(name: string, child: Deno.ChildProcess) {
    this.name = name;
    this.#child = child;
    this.pid = child.pid;
    this.#stdin = child.stdin.getWriter();
    this.#reading = Promise.all([this.#hear(child.stdout), this.#keep(child.stderr)]).then(() => {
      this.#hasEnded = true;
      for (const { reject } of this.#waiting.splice(0)) reject(this.#endedError());
    });
  }

  /** Rejects when the process has ended or found a fault; both end a bench with no result. */
  async ask<Answer>(question: unknown): Promise<Answer> {
    if (this.#hasEnded) throw this.#endedError();
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.push(answer);
    try {
      await this.#stdin.write(new TextEncoder().encode(`${JSON.stringify(question)}\n`));
    } catch {
      // It has ended meanwhile; why, its last words say.
      answer.promise.catch(() => {});
      await this.#reading;
      throw this.#endedError();
    }
    const timer = setTimeout(
      () => answer.reject(new Error(`${this.name} gave no answer in ${ANSWER_MS} ms`)),
      ANSWER_MS,
    );
    try {
      return await answer.promise as Answer;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Rejects as `ask` does when the process has ended. */
  async usage(): Promise<Usage> {
    const usage = await usageOf(this.pid);
    if (usage !== null) return usage;
    await this.#reading;
    throw this.#endedError();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#reading;
    await this.#stdin.abort().catch(() => {});
  }

  async #hear(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        // What a service logs is no answer.
        if (!line.startsWith("{") || line.startsWith('{"@timestamp"')) {
          this.#said += `${line}\n`;
          continue;
        }
        const answer = JSON.parse(line);
        const waiting = this.#waiting.shift();
        if (typeof answer.fault === "string") {
          this.#fault = `${this.name}: ${answer.fault}`;
          waiting?.reject(new Error(this.#fault));
        } else waiting?.resolve(answer);
      }
    }
  }

  async #keep(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) this.#said += text;
  }

  #endedError(): Error {
    return new Error(this.#fault ?? `${this.name} ended: ${this.#said.slice(-2_000)}`);
  }
}

/** The other side: answers each line of stdin with what the named question gives, and ends the process with its stdin. */
export async function answerAsked(
  questions: Readonly<Record<string, (given: unknown) => unknown>>,
): Promise<never> {
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [name, given] = JSON.parse(line) as [string, unknown];
      const question = questions[name];
      if (question === undefined) throw new Error(`Cannot answer "${name}"`);
      console.log(JSON.stringify((await question(given)) ?? {}));
    }
  }
  Deno.exit(0);
}
