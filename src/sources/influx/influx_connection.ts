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

/** All samples of a read of the most devices, a kilobyte each; parsed, an answer takes several times its length. */
const MAX_ANSWER_BYTES = 128 * 1_048_576;

const unprintable = /[^\x20-\x7e]/;

// The client would write to the console what also arrives as an error.
setLogger({ error: () => {}, warn: () => {} });

export class InfluxConnection implements Disposable {
  readonly #transport: Transport;
  readonly #maxAnswerBytes: number;
  /** Only for an authority of one's own: without it the runtime's common client does. */
  #client: Deno.HttpClient | null = null;

  /** Throws TypeError on a token that no header can hold. */
  constructor(options: Pick<InfluxOptions, "url" | "auth" | "caCertificate" | "maxAnswerBytes">) {
    const { url, auth, caCertificate, maxAnswerBytes = MAX_ANSWER_BYTES } = options;
    this.#maxAnswerBytes = maxAnswerBytes;
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
      const answer = this.#transport.iterate(path, body, {
        method: "POST",
        headers: { "content-type": contentType, accept },
        signal: controller.signal,
      });
      return await read(bounded(answer, this.#maxAnswerBytes));
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

/** Fewer devices, or fewer samples, may fit: that there are too many is about this query, and hits nobody else. */
async function* bounded(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  let left = maxBytes;
  for await (const chunk of chunks) {
    left -= chunk.length;
    if (left < 0) {
      throw new SourceError(
        "rejected",
        `Cannot read telemetry: InfluxDB's answer is longer than ${maxBytes} bytes`,
      );
    }
    yield chunk;
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
