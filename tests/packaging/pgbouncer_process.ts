// A PgBouncer in front of a test's PostgreSQL, on the configuration that operators are given; it must end with its test.
import { freePort } from "../support/free_port.ts";
import { changed, readExample } from "./example_file.ts";
import { until } from "../support/until.ts";

export class PgBouncer implements AsyncDisposable {
  readonly port: number;
  readonly #child: Deno.ChildProcess;
  readonly #folder: string;
  readonly #reading: Promise<void>;
  #said = "";

  /** `url` is the login that it is to let through; `poolSize` how many connections it may open with it. */
  static async start(
    { path, url, poolSize }: { path: string; url: string; poolSize: number },
  ): Promise<PgBouncer> {
    const { username, password, port: serverPort, pathname } = new URL(url);
    const folder = await Deno.makeTempDir({ prefix: "pulsewire-pgbouncer-" });
    const port = freePort();
    const text = changed(readExample("ops/pgbouncer/pgbouncer.ini"), {
      "host=db.internal port=5432 dbname=pulsewire": `host=127.0.0.1 port=${serverPort} dbname=${
        pathname.slice(1)
      }`,
      "listen_port = 6432": `listen_port = ${port}`,
      "/etc/pgbouncer/userlist.txt": `${folder}/userlist.txt`,
      "default_pool_size = 16": `default_pool_size = ${poolSize}`,
    });
    Deno.writeTextFileSync(`${folder}/pgbouncer.ini`, text);
    Deno.writeTextFileSync(`${folder}/userlist.txt`, `"${username}" "${password}"\n`);
    Deno.chmodSync(folder, 0o755);
    // It refuses to run as root, and becomes somebody else by itself.
    const user = Deno.uid() === 0 ? ["-u", "nobody"] : [];
    const child = new Deno.Command(path, {
      args: [...user, `${folder}/pgbouncer.ini`],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const bouncer = new PgBouncer({ child, folder, port });
    try {
      await until(() => bouncer.#said.includes("process up"), { what: "PgBouncer" });
    } catch (error) {
      const said = bouncer.#said;
      await bouncer[Symbol.asyncDispose]();
      throw new Error(`Cannot start PgBouncer: ${said}`, { cause: error });
    }
    return bouncer;
  }

  private constructor(
    { child, folder, port }: { child: Deno.ChildProcess; folder: string; port: number },
  ) {
    this.#child = child;
    this.#folder = folder;
    this.port = port;
    this.#reading = (async () => {
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
        this.#said += text;
      }
    })();
  }

  /** An address of the database as it is reached through the pooler. */
  through(url: string): string {
    const through = new URL(url);
    through.port = String(this.port);
    through.pathname = "/pulsewire";
    return through.href;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      // At once: with an orderly end it waits for its clients.
      this.#child.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#child.status;
    await this.#reading;
    await Deno.remove(this.#folder, { recursive: true });
  }
}
