// A request of `node:http` whose query is seen by nobody before it is announced. The runtime copies the URL of each request
// into a span as soon as it has come, and what stands in a span is exported: a token must not stand in it.
import { IncomingMessage } from "node:http";

const FULL_URL = Symbol("full url");

interface Held {
  [FULL_URL]?: string;
}

export class QuietRequest extends IncomingMessage {
  /** Gives the request its whole URL; called first by whoever answers it. */
  static announce(request: IncomingMessage): void {
    if (!(request instanceof QuietRequest)) return;
    const value = (request as Held)[FULL_URL];
    Object.defineProperty(request, "url", { value, writable: true, enumerable: true });
  }
}

// An accessor of the class would be at odds with the property that the typings declare.
Object.defineProperty(QuietRequest.prototype, "url", {
  get(this: Held) {
    return this[FULL_URL]?.split("?", 1)[0];
  },
  set(this: Held, url: string) {
    this[FULL_URL] = url;
  },
});
