// Gets one JSON document of an issuer; it must never follow a redirect, nor read more than a document's worth.

/** Bytes of the longest answer that is read; key sets have a few KiB, the largest known ones tens. */
export const MAX_DOCUMENT_BYTES = 256 * 1024;

export interface FetchJsonOptions {
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal;
}

/** Rejects unless the answer has status 200 and is JSON in UTF-8 of at most MAX_DOCUMENT_BYTES. */
export async function fetchJson(url: URL, options: FetchJsonOptions): Promise<unknown> {
  const response = await options.fetch(url, {
    headers: { accept: "application/json, application/jwk-set+json" },
    redirect: "manual",
    signal: options.signal,
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`Failed to get ${nameOf(url)}: status is ${response.status}, expected 200`);
  }
  const bytes = await readBounded(response, url);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new Error(`Failed to get ${nameOf(url)}: the answer is not JSON`, { cause });
  }
}

/** How a URL may be spoken of: without what could be a credential in it. */
export function nameOf(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

async function readBounded(response: Response, url: URL): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop cancels the body, so an endless answer ends here.
  for await (const chunk of response.body ?? []) {
    length += chunk.byteLength;
    if (length > MAX_DOCUMENT_BYTES) {
      throw new Error(
        `Failed to get ${nameOf(url)}: the answer has more than ${MAX_DOCUMENT_BYTES} bytes`,
      );
    }
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}
