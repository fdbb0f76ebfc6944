// Where a command's words go: in order, whole, and awaited, so that a slow reader slows the command and a reader that is
// gone is noticed. It must never drop what it was given.

export interface Terminal {
  /** Standard output. Rejects with Deno.errors.BrokenPipe when nobody reads it any more. */
  print(text: string): Promise<void>;
  /** Standard error. Rejects like `print`. */
  complain(text: string): Promise<void>;
}

interface Sink {
  write(bytes: Uint8Array): Promise<number>;
}

export function createTerminal(
  { out, err }: { readonly out: Sink; readonly err: Sink } = { out: Deno.stdout, err: Deno.stderr },
): Terminal {
  return { print: lineWriter(out), complain: lineWriter(err) };
}

/** Writes texts one after another, each with the line feed that it lacks. */
function lineWriter(sink: Sink): (text: string) => Promise<void> {
  const encoder = new TextEncoder();
  let last: Promise<void> = Promise.resolve();
  return (text) => {
    const bytes = encoder.encode(text.endsWith("\n") ? text : `${text}\n`);
    const written = last.then(() => writeAll(sink, bytes));
    // Whoever gave the text is told of its failure; the next one tries for itself.
    last = written.catch(() => {});
    return written;
  };
}

async function writeAll(sink: Sink, bytes: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < bytes.length) offset += await sink.write(bytes.subarray(offset));
}
