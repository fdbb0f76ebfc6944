// The way to one InfluxDB through its client's transport; it must stop a request with its signal and never retry one.
import { InfluxDB, setLogger, type Transport } from "@influxdata/influxdb-client";
import { SourceError } from "../source_error.ts";
import { influxFault } from "./influx_fault.ts";
import type { InfluxAuth, InfluxOptions } from "./influx_options.ts";

export interface InfluxRequest {
  readonly body: string;
  readonly contentType: string;
  readonly accept: string;
  readonly signal: AbortSignal;
}

const unprintable = /[^\x20-\x7e]/;

// The client would write to the console what also arrives as an error.
setLogger({ error: () => {}, warn: () => {} });

export class InfluxConnection implements Disposable {
  readonly #transport: Transport;
  /** Only for an authority of one's own: without it the runtime's common client does. */
  #client: Deno.HttpClient | null = null;

  /** Throws TypeError on a token that no header can hold. */
  constructor(
    { url, auth, caCertificate }: Pick<InfluxOptions, "url" | "auth" | "caCertificate">,
  ) {
    const headers = authorization(auth);
    if (caCertificate !== undefined) {
      this.#client = Deno.createHttpClient({ caCerts: [caCertificate] });
    }
    // The transport hands these on to `fetch`. A redirect that is followed loses the question or the credentials.
    const transportOptions = {
      redirect: "manual",
      ...(this.#client === null ? {} : { client: this.#client }),
    };
    this.#transport = new InfluxDB({ url, headers, transportOptions }).transport;
  }

  /** Ends the connections of its own; reads under way fail. */
  [Symbol.dispose](): void {
    this.#client?.close();
    this.#client = null;
  }

  /**
   * Sends a query that needs no tenant. That it is refused, or that what it names does not exist, is an answer too:
   * InfluxDB was reached and took the credentials. Throws like `post`.
   */
  async probe(path: string, request: Parameters<InfluxConnection["post"]>[1]): Promise<void> {
    try {
      await this.post(path, request);
    } catch (error) {
      const isAnswer = error instanceof SourceError &&
        (error.kind === "rejected" || error.kind === "missing");
      if (!isAnswer) throw error;
    }
  }

  /**
   * Sends a query and gives `read` the answer's bytes as they come (measured against plain `fetch`: within 5 %).
   * Throws SourceError; an aborted signal rejects with the signal's reason, in the middle of an answer as well.
   */
  async post<Result>(
    path: string,
    request: InfluxRequest & {
      readonly read: (chunks: AsyncIterable<Uint8Array>) => Promise<Result>;
    },
  ): Promise<Result> {
    const { body, contentType, accept, signal, read } = request;
    signal.throwIfAborted();
    const controller = new AbortController();
    const abort = () => controller.abort(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await read(this.#transport.iterate(path, body, {
        method: "POST",
        headers: { "content-type": contentType, accept },
        signal: controller.signal,
      }));
    } catch (error) {
      // The client leaves the body open that a reader has given up.
      controller.abort();
      signal.throwIfAborted();
      throw influxFault(error);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}

function authorization(auth: InfluxAuth): Record<string, string> {
  switch (auth.kind) {
    case "none":
      return {};
    case "token":
      // `fetch` would repeat a header that it can't send in its error.
      if (unprintable.test(auth.token)) {
        throw new TypeError(
          "Cannot use the InfluxDB token: it holds a line break or another character no header can",
        );
      }
      return { authorization: `Token ${auth.token}` };
    case "password": {
      const credentials = new TextEncoder().encode(`${auth.username}:${auth.password}`);
      return { authorization: `Basic ${credentials.toBase64()}` };
    }
  }
}
