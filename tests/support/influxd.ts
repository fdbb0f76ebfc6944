// Starts a real InfluxDB 1.x of its own on a loopback port; it must never touch one that it did not start.
import { join } from "node:path";
import { freePort } from "./free_port.ts";

export interface InfluxdOptions {
  /** With it the server wants Basic auth, and this administrator is made. */
  readonly admin?: { readonly username: string; readonly password: string };
}

export interface TestInfluxd extends AsyncDisposable {
  readonly url: string;
  /** Of the server that runs; null while it is stopped. */
  readonly pid: number | null;
  createDatabase(database: string): Promise<void>;
  /** Line protocol with instants in nanoseconds. */
  write(database: string, lines: string): Promise<void>;
  /** Runs InfluxQL that changes or shows something and returns the server's JSON. */
  query(text: string): Promise<unknown>;
  /** Ends the process at once; data and port are kept. */
  kill(): Promise<void>;
  /** Stops the process as it stands, with its connections open, until `thaw`. */
  freeze(): void;
  thaw(): void;
  /** Starts it again on the same port with the same data, after a `kill` if it still runs. */
  restart(): Promise<void>;
  /** Ends the process and removes its data. */
  stop(): Promise<void>;
}

const startDeadlineMs = 20_000;

/** The path of an installed influxd 1.x, or null. */
export function findInfluxd(): string | null {
  for (const path of ["/usr/bin/influxd", "/usr/local/bin/influxd"]) {
    try {
      if (Deno.statSync(path).isFile) return path;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return null;
}

export async function openInfluxd(options: InfluxdOptions = {}): Promise<TestInfluxd> {
  const path = findInfluxd();
  if (path === null) throw new Error("Cannot start influxd: it is not installed");
  const folder = await Deno.makeTempDir({ prefix: "pulsewire-influxd-" });
  const server = new Influxd(path, folder, freePort(), options);
  try {
    await server.restart();
    if (options.admin) {
      const { username, password } = options.admin;
      await server.query(
        `CREATE USER "${username}" WITH PASSWORD '${password}' WITH ALL PRIVILEGES`,
      );
    }
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

class Influxd implements TestInfluxd {
  readonly url: string;
  readonly #path: string;
  readonly #folder: string;
  readonly #headers: Record<string, string>;
  #child: Deno.ChildProcess | null = null;
  #errors: Promise<string> = Promise.resolve("");
  #isStopped = false;

  constructor(path: string, folder: string, port: number, { admin }: InfluxdOptions) {
    this.url = `http://127.0.0.1:${port}`;
    this.#path = path;
    this.#folder = folder;
    this.#headers = admin
      ? { authorization: `Basic ${btoa(`${admin.username}:${admin.password}`)}` }
      : {};
    Deno.writeTextFileSync(
      join(folder, "influxdb.conf"),
      configuration(folder, port, admin !== undefined),
    );
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  async createDatabase(database: string): Promise<void> {
    await this.query(`CREATE DATABASE "${database}"`);
  }

  async write(database: string, lines: string): Promise<void> {
    const url = `${this.url}/write?${new URLSearchParams({ db: database, precision: "ns" })}`;
    const response = await fetch(url, { method: "POST", body: lines, headers: this.#headers });
    const answer = await response.text();
    if (response.status !== 204) {
      throw new Error(`Cannot write points: ${response.status} ${answer}`);
    }
  }

  async query(text: string): Promise<unknown> {
    const body = new URLSearchParams({ q: text });
    const response = await fetch(`${this.url}/query`, {
      method: "POST",
      body,
      headers: this.#headers,
    });
    const answer = await response.text();
    if (!response.ok || answer.includes('"error"')) {
      throw new Error(`Cannot run ${text}: ${response.status} ${answer}`);
    }
    return JSON.parse(answer);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#child = null;
    try {
      child.kill("SIGKILL");
    } catch (error) {
      // It has ended by itself.
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
    await Promise.all([child.status, this.#errors]);
  }

  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  async restart(): Promise<void> {
    await this.kill();
    const child = new Deno.Command(this.#path, {
      args: ["run", "-config", join(this.#folder, "influxdb.conf")],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#child = child;
    this.#errors = new Response(child.stderr).text();
    let hasEnded = false;
    child.status.then(() => hasEnded = true);
    const deadline = Date.now() + startDeadlineMs;
    while (!(await this.#answers())) {
      if (hasEnded || Date.now() > deadline) {
        await this.kill();
        throw new Error(`Cannot start influxd: no answer from ${this.url}: ${await this.#errors}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    await this.kill();
    await Deno.remove(this.#folder, { recursive: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #answers(): Promise<boolean> {
    try {
      const response = await fetch(`${this.url}/ping`);
      await response.body?.cancel();
      return response.status === 204;
    } catch (error) {
      if (error instanceof TypeError) return false;
      throw error;
    }
  }
}

function configuration(folder: string, port: number, isAuthEnabled: boolean): string {
  return `reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
  dir = "${folder}/meta"
[data]
  dir = "${folder}/data"
  wal-dir = "${folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:${port}"
  auth-enabled = ${isAuthEnabled}
  log-enabled = false
[logging]
  level = "error"
  suppress-logo = true
[continuous_queries]
  enabled = false
`;
}
