// Ending a stream that has finished is asked for again and again by `ws`, three times for each WebSocket that closes, and
// the runtime makes an error of it each time, with its stack, for nobody to read: a third of what a short-lived connection
// costs. It must change nothing else.
import type { Writable } from "node:stream";

/** The stream itself, which ends as before and takes no note of being ended once more. */
export function endOnce<Stream extends Writable>(stream: Stream): Stream {
  stream.end = end;
  return stream;
}

function end<Stream extends Writable>(this: Stream, ...given: unknown[]): Stream {
  if (given.length === 0 && this.writableFinished) return this;
  const { end } = Object.getPrototypeOf(this) as { end(...given: unknown[]): Stream };
  return end.apply(this, given);
}
