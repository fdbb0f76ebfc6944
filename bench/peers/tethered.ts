// A program of somebody else's that ends with the bench, even when the bench is killed: a shell holds it until its own
// input ends. It must never be started without a port of its own.
import { type Usage, usageOf } from "../usage.ts";

const HOLD = '"$@" </dev/null >&2 & echo $!; read -r _; kill -9 $!; wait';
const OPEN_WITHIN_MS = 20_000;
const LOOK_MS = 50;

export class Tethered implements AsyncDisposable {
  readonly pid: number;
  readonly #shell: Deno.ChildProcess;
  readonly #said: Promise<string>;

  /** Returns once the program takes connections on its port. */
  static async start(
    [program, ...args]: readonly [string, ...string[]],
    { port, env = {} }: { readonly port: number; readonly env?: Readonly<Record<string, string>> },
  ): Promise<Tethered> {
    const shell = new Deno.Command("sh", {
      args: ["-c", HOLD, "sh", program, ...args],
      env,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const said = new Response(shell.stderr).text();
    const output = shell.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value: line = "" } = await output.read();
    await output.cancel();
    const tethered = new Tethered(Number(line), { shell, said });
    try {
      await tethered.#opened(port);
    } catch (error) {
      await tethered[Symbol.asyncDispose]();
      throw new Error(`Cannot start ${program}: ${(await said).slice(-2_000)}`, { cause: error });
    }
    return tethered;
  }

  private constructor(
    pid: number,
    { shell, said }: { readonly shell: Deno.ChildProcess; readonly said: Promise<string> },
  ) {
    this.pid = pid;
    this.#shell = shell;
    this.#said = said;
  }

  async usage(): Promise<Usage> {
    const usage = await usageOf(this.pid);
    if (usage === null) throw new Error(`Cannot read what process ${this.pid} spent: it has ended`);
    return usage;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#shell.stdin.locked) await this.#shell.stdin.close().catch(() => {});
    await this.#shell.status;
    await this.#said;
  }

  async #opened(port: number): Promise<void> {
    const deadline = Date.now() + OPEN_WITHIN_MS;
    while (true) {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return;
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionRefused) || Date.now() > deadline) throw error;
        // It may have ended instead.
        await this.usage();
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    }
  }
}
