// A reverse proxy in the foreground, on a configuration that operators are given, in a folder of its own. It must end with
// its test and leave nothing behind.
import { until } from "../support/until.ts";
import { makeCertificate } from "../support/certificate.ts";
import { freePort } from "../support/free_port.ts";

export interface ProxySetUp {
  readonly folder: string;
  /** Where it is to listen, with TLS. */
  readonly port: number;
  /** Where the service listens. */
  readonly servicePort: number;
}

export interface ProxyKind {
  readonly name: string;
  readonly program: string;
  /** Writes its configuration; the folder holds `tls.crt`, `tls.key` and `tls.pem`, which is both. */
  configure(setUp: ProxySetUp): void;
  args(folder: string): readonly string[];
  /** Files that it logs to, beside what it says itself. */
  readonly logs: readonly string[];
}

export class ProxyProcess implements AsyncDisposable {
  readonly port: number;
  readonly authority: string;
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;
  readonly #folder: string;
  readonly #kind: ProxyKind;
  #said = "";

  static async start(
    kind: ProxyKind,
    { path, servicePort }: { path: string; servicePort: number },
  ): Promise<ProxyProcess> {
    const folder = await Deno.makeTempDir({ prefix: `pulsewire-${kind.program}-` });
    const { authority, certificate, key } = await makeCertificate();
    Deno.writeTextFileSync(`${folder}/tls.crt`, certificate);
    Deno.writeTextFileSync(`${folder}/tls.key`, key);
    Deno.writeTextFileSync(`${folder}/tls.pem`, certificate + key);
    const port = freePort();
    kind.configure({ folder, port, servicePort });
    const child = new Deno.Command(path, {
      args: [...kind.args(folder)],
      cwd: folder,
      env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const proxy = new ProxyProcess({ kind, folder, child, port, authority });
    try {
      await until(() => proxy.#listens(), { what: `${kind.name} on port ${port}` });
    } catch (error) {
      const said = proxy.#said;
      await proxy[Symbol.asyncDispose]();
      throw new Error(`Cannot start ${kind.name}: ${said}`, { cause: error });
    }
    return proxy;
  }

  private constructor(
    { kind, folder, child, port, authority }: {
      kind: ProxyKind;
      folder: string;
      child: Deno.ChildProcess;
      port: number;
      authority: string;
    },
  ) {
    this.#kind = kind;
    this.#folder = folder;
    this.#child = child;
    this.port = port;
    this.authority = authority;
    const collect = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) this.#said += text;
    };
    this.#reading = Promise.all([collect(child.stdout), collect(child.stderr)]);
  }

  /** All that it logged so far, wherever. */
  logged(): string {
    const files = this.#kind.logs.map((name) => {
      try {
        return Deno.readTextFileSync(`${this.#folder}/${name}`);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return "";
        throw error;
      }
    });
    return [this.#said, ...files].join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Ends it at once, workers included: with an orderly end some proxies wait for their sockets.
    try {
      this.#child.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#child.status;
    await this.#reading;
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #listens(): Promise<boolean> {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port: this.port })).close();
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionRefused) return false;
      throw error;
    }
  }
}
