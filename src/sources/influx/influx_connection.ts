// The way to one InfluxDB; it must stop a request with its signal and never retry one.
import { HttpError } from "@influxdata/influxdb-client";
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

/**
 * Of an answer that says why there is none; the rest is not read. Before it says which grant is missing, 1.x repeats a
 * query of 1,000 devices, escaped: up to 0.8 MB.
 */
const MAX_REASON_BYTES = 1_048_576;

/** Characters of it that a log is told. */
const MAX_TOLD_LENGTH = 1_000;

const unprintable = /[^\x20-\x7e]/;

export class InfluxConnection implements Disposable {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  /** Names the client as well after that is closed: the common one must not go on in its place. */
  readonly #how: RequestInit & { readonly client?: Deno.HttpClient };
  readonly #maxAnswerBytes: number;
  /** Only for an authority of one's own: without it the runtime's common client does. */
  #client: Deno.HttpClient | null = null;

  /** Throws TypeError on a token that no header can hold. */
  constructor(options: Pick<InfluxOptions, "url" | "auth" | "caCertificate" | "maxAnswerBytes">) {
    const { url, auth, caCertificate, maxAnswerBytes = MAX_ANSWER_BYTES } = options;
    this.#url = url.replace(/\/+$/, "").replace(/\/api\/v2$/, "");
    this.#headers = authorization(auth);
    this.#maxAnswerBytes = maxAnswerBytes;
    if (caCertificate !== undefined) {
      this.#client = Deno.createHttpClient({ caCerts: [caCertificate] });
    }
    // A redirect is an answer like any other: one that is followed loses the question or the credentials.
    this.#how = {
      method: "POST",
      redirect: "manual",
      ...(this.#client === null ? {} : { client: this.#client }),
    };
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
   * Sends a query and gives `read` the answer's bytes as they come. Throws SourceError; an aborted signal rejects with
   * the signal's reason, in the middle of an answer as well.
   */
  async post<Result>(
    path: string,
    request: InfluxRequest & {
      readonly read: (chunks: AsyncIterable<Uint8Array>) => Promise<Result>;
    },
  ): Promise<Result> {
    const { signal, read } = request;
    signal.throwIfAborted();
    // What `fetch` leaves on a signal stays there: one that lives on would keep every answer.
    const controller = new AbortController();
    const abort = () => controller.abort(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      const answer = await this.#fetch(path, request, controller.signal);
      if (!answer.ok) throw await httpErrorOf(answer);
      return await read(bounded(chunksOf(answer), this.#maxAnswerBytes));
    } catch (error) {
      // A reader that has given up may have left the answer open.
      controller.abort();
      signal.throwIfAborted();
      throw influxFault(error);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  #fetch(
    path: string,
    { body, contentType, accept }: InfluxRequest,
    signal: AbortSignal,
  ): Promise<Response> {
    const headers = { ...this.#headers, "content-type": contentType, accept };
    return fetch(this.#url + path, { ...this.#how, headers, body, signal });
  }
}

/**
 * Not by a reader, as the client's transport has them: it leaves in the stream the 64 KiB into which the end was to be
 * read, and the runtime keeps a stream until the old part of the heap is collected.
 */
async function* chunksOf({ body }: Response): AsyncGenerator<Uint8Array> {
  if (body !== null) yield* body;
}

/** As the client throws it, but for the length of its message. */
async function httpErrorOf(answer: Response): Promise<HttpError> {
  const { status, statusText, headers } = answer;
  let reason: string | undefined;
  try {
    reason = await beginningOf(answer);
  } catch {
    // The status tells enough.
  }
  const error = new HttpError(status, statusText, reason, null, headers.get("content-type"));
  if (error.message.length > MAX_TOLD_LENGTH) {
    error.message = `${error.message.slice(0, MAX_TOLD_LENGTH)}…`;
  }
  return error;
}

async function beginningOf(answer: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of chunksOf(answer)) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length >= MAX_REASON_BYTES) break;
  }
  return text;
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
