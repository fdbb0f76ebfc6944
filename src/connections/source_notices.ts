// What one client was told of its sources' states, so that it is told each change once. It sends nothing.
import type { SourceStatus } from "../feed/seam.ts";
import type { ServerMessage, SourceName } from "../protocol/server_messages.ts";

export class SourceNotices {
  readonly #told = new Map<SourceName, SourceStatus["state"]>();

  /** The message to send now; null where the client knows already. A source counts as well until something else was told. */
  due({ source, state, since, retryAt }: SourceStatus, nowMs: number): ServerMessage | null {
    if ((this.#told.get(source) ?? "ok") === state) return null;
    this.#told.set(source, state);
    return {
      type: "status",
      source,
      state,
      since: new Date(since).toISOString(),
      ...(retryAt === null ? {} : { retry_in_ms: Math.max(0, retryAt - nowMs) }),
    };
  }
}
