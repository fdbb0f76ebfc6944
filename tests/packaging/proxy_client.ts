// Talks to the service through a proxy that ends TLS, from a loopback address of its choice.
import { request } from "node:https";
import type { Message } from "../support/client.ts";
import { until } from "../support/until.ts";
import { openSocket } from "../support/open_socket.ts";

export interface Way {
  readonly port: number;
  /** PEM of the authority that vouches for the proxy. */
  readonly authority: string;
}

export interface Answer {
  readonly status: number;
  /** What came so far. */
  text(): string;
  /** Leaves, whatever is still to come. */
  leave(): void;
  readonly ended: Promise<void>;
}

/** Longer than a busy machine takes, and than a quiet stream is left without a sign of life. */
const SILENCE_MS = 30_000;

/** Asks and returns as soon as the answer's head is there. */
export function ask(
  { port, authority }: Way,
  path: string,
  { headers = {}, from = "127.0.0.1", method = "GET" }: {
    headers?: Record<string, string>;
    from?: string;
    method?: string;
  } = {},
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const asked = request(
    { host: "127.0.0.1", port, path, method, headers, ca: authority, localAddress: from },
    (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => text += part);
      response.on("error", () => {});
      const ended = new Promise<void>((end) => response.on("close", () => end()));
      const status = response.statusCode ?? 0;
      resolve({ status, text: () => text, leave: () => asked.destroy(), ended });
    },
  );
  asked.on("error", reject);
  asked.setTimeout(SILENCE_MS, () => asked.destroy(new Error(`No answer for ${SILENCE_MS} ms`)));
  asked.end();
  return promise;
}

/** A socket through the proxy, and what came over it. */
export class ProxySocket implements AsyncDisposable {
  readonly messages: Message[] = [];
  readonly #socket: WebSocket;
  readonly #client: Deno.HttpClient;
  readonly #closed: Promise<void>;

  static async open(
    { port, authority }: Way,
    { path = "/api/v2/ws", protocols = [], headers = {} }: {
      path?: string;
      protocols?: string[];
      headers?: Record<string, string>;
    },
  ): Promise<ProxySocket> {
    const client = Deno.createHttpClient({ caCerts: [authority] });
    const url = `wss://127.0.0.1:${port}${path}`;
    const opened = new ProxySocket(openSocket(url, { protocols, headers, client }), client);
    const { promise, resolve } = Promise.withResolvers<void>();
    opened.#socket.onopen = () => resolve();
    await Promise.race([promise, opened.#closed]);
    return opened;
  }

  private constructor(socket: WebSocket, client: Deno.HttpClient) {
    this.#socket = socket;
    this.#client = client;
    this.#closed = new Promise((resolve) => socket.onclose = () => resolve());
    socket.onerror = (event) => event.preventDefault();
    socket.onmessage = ({ data }) => this.messages.push(JSON.parse(data));
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  get protocol(): string {
    return this.#socket.protocol;
  }

  send(message: unknown): void {
    this.#socket.send(JSON.stringify(message));
  }

  async next(fits: (message: Message) => boolean): Promise<Message> {
    await until(() => this.messages.some(fits), { what: "a message through the proxy" });
    return this.messages.find(fits) as Message;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#closed;
    this.#client.close();
  }
}
