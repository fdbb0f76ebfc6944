// Starts a PostgreSQL of its own on a loopback port, with the schema of sql/; it must never touch one that it did not
// start. Where none is installed PGlite stands in behind a socket.
import { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import { join } from "node:path";
import { freePort } from "./free_port.ts";
import postgres from "postgres";

export interface TestPostgres extends AsyncDisposable {
  /** `pglite`: everybody is superuser until SET ROLE, all connections share one session, nothing restarts. */
  readonly kind: "postgres" | "pglite";
  /** A superuser, for writing rows past the policies. */
  readonly adminUrl: string;
  /** A login without rights that may only become `pulse_app`. */
  readonly appUrl: string;
  readonly port: number;
  /** Runs SQL as the administrator; the rows of its last statement. */
  execute(
    text: string,
    parameters?: readonly (string | number | null)[],
  ): Promise<readonly Record<string, unknown>[]>;
  /** Stops and starts it, as `pg_ctl restart -m` does. */
  restart(mode: "fast" | "immediate"): Promise<void>;
  /** Ends it at once; `restart` starts it again. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

const sqlFiles = ["01_schema.sql", "02_roles.sql", "03_policies.sql", "04_alert_notify.sql"];
const startDeadlineMs = 30_000;
const password = "only-for-tests";

/** The folder of the newest installed PostgreSQL's programs, or null. */
export function findPostgres(): string | null {
  if (Deno.env.get("PULSEWIRE_TEST_POSTGRES") === "pglite") return null;
  try {
    const versions = [...Deno.readDirSync("/usr/lib/postgresql")].map((entry) => entry.name);
    const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
    const folder = `/usr/lib/postgresql/${newest}/bin`;
    return Deno.statSync(`${folder}/postgres`).isFile ? folder : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Starts a database and loads sql/ into it. */
export async function openPostgres(): Promise<TestPostgres> {
  const programs = findPostgres();
  const server = programs === null
    ? await PgliteServer.start()
    : await PostgresServer.start(programs);
  try {
    for (const file of sqlFiles) {
      await server.execute(await Deno.readTextFile(new URL(`../../sql/${file}`, import.meta.url)));
    }
    if (server.kind === "postgres") {
      await server.execute(
        `CREATE ROLE pulsewire LOGIN NOINHERIT PASSWORD '${password}'; GRANT pulse_app TO pulsewire`,
      );
    }
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

class PostgresServer implements TestPostgres {
  readonly kind = "postgres";
  readonly port: number;
  readonly adminUrl: string;
  readonly appUrl: string;
  readonly #programs: string;
  readonly #folder: string;
  #isStopped = false;

  static async start(programs: string): Promise<PostgresServer> {
    const folder = await Deno.makeTempDir({ prefix: "pulsewire-postgres-" });
    const server = new PostgresServer(programs, folder, freePort());
    try {
      const passwordFile = join(folder, "password");
      await Deno.writeTextFile(passwordFile, password);
      // PostgreSQL refuses to run as root.
      if (Deno.uid() === 0) await run("chown", ["-R", "postgres", folder]);
      const auth = ["--auth=scram-sha-256", `--pwfile=${passwordFile}`];
      await server.#run("initdb", [
        "-D",
        server.#data,
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--no-sync",
        ...auth,
      ]);
      await server.#control("start");
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  private constructor(programs: string, folder: string, port: number) {
    this.#programs = programs;
    this.#folder = folder;
    this.port = port;
    this.adminUrl = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
    this.appUrl = `postgres://pulsewire:${password}@127.0.0.1:${port}/postgres`;
  }

  execute(text: string, parameters: readonly (string | number | null)[] = []) {
    return executeOn(this.adminUrl, text, parameters);
  }

  async restart(mode: "fast" | "immediate"): Promise<void> {
    if (await this.#isRunning()) await this.#control("stop", "-m", mode);
    await this.#control("start");
  }

  async kill(): Promise<void> {
    await this.#control("stop", "-m", "immediate");
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    if (await this.#isRunning()) await this.kill();
    await Deno.remove(this.#folder, { recursive: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #data(): string {
    return join(this.#folder, "data");
  }

  async #isRunning(): Promise<boolean> {
    try {
      return (await Deno.stat(join(this.#data, "postmaster.pid"))).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  async #control(verb: "start" | "stop", ...more: string[]): Promise<void> {
    const settings = [
      `-p ${this.port} -h 127.0.0.1 -k ${this.#folder}`,
      "-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c shared_buffers=32MB",
      "-c max_connections=40 -c autovacuum=off -c log_min_messages=fatal",
    ].join(" ");
    const started = verb === "start" ? ["-l", join(this.#folder, "log"), "-o", settings] : [];
    await this.#run("pg_ctl", [
      verb,
      "-D",
      this.#data,
      "-w",
      "-s",
      "-t",
      String(startDeadlineMs / 1000),
      ...started,
      ...more,
    ]);
  }

  #run(program: string, args: readonly string[]): Promise<void> {
    const path = join(this.#programs, program);
    return Deno.uid() === 0
      ? run("runuser", ["-u", "postgres", "--", path, ...args])
      : run(path, args);
  }
}

class PgliteServer implements TestPostgres {
  readonly kind = "pglite";
  readonly adminUrl: string;
  readonly appUrl: string;
  readonly port: number;
  readonly #db: PGlite;
  readonly #socket: PGLiteSocketServer;
  #isStopped = false;

  static async start(): Promise<PgliteServer> {
    const db = await PGlite.create();
    const port = freePort();
    const socket = new PGLiteSocketServer({ db, host: "127.0.0.1", port, maxConnections: 20 });
    await socket.start();
    return new PgliteServer(db, socket, port);
  }

  private constructor(db: PGlite, socket: PGLiteSocketServer, port: number) {
    this.#db = db;
    this.#socket = socket;
    this.port = port;
    this.adminUrl = `postgres://postgres:postgres@127.0.0.1:${port}/postgres`;
    this.appUrl = this.adminUrl;
  }

  execute(text: string, parameters: readonly (string | number | null)[] = []) {
    return executeOn(this.adminUrl, text, parameters);
  }

  restart(): Promise<void> {
    throw new Error("Cannot restart PGlite: its data would be lost");
  }

  kill(): Promise<void> {
    throw new Error("Cannot kill PGlite: it lives in this process");
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    await this.#socket.stop();
    await this.#db.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

async function executeOn(
  url: string,
  text: string,
  parameters: readonly (string | number | null)[],
): Promise<readonly Record<string, unknown>[]> {
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice: () => {}, backoff: () => 0.1 });
  try {
    return await sql.unsafe(text, [...parameters]) as readonly Record<string, unknown>[];
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function run(program: string, args: readonly string[]): Promise<void> {
  // pg_ctl's child would keep a pipe open for as long as the server lives.
  const errors = await Deno.makeTempFile();
  const command = new Deno.Command("sh", {
    args: ["-c", 'exec "$@" >"$0" 2>&1', errors, program, ...args],
    cwd: "/",
    stdin: "null",
    stdout: "null",
    stderr: "null",
  });
  const { code } = await command.output();
  const said = await Deno.readTextFile(errors);
  await Deno.remove(errors);
  if (code !== 0) throw new Error(`Cannot run ${program} ${args[0]}: exit ${code}: ${said}`);
}
