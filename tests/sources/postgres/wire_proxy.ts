// A proxy on the wire to PostgreSQL that counts round trips and can go silent or mad; it must change nothing otherwise.
import { type Speaker, TcpRelay } from "../../support/tcp_relay.ts";

export type WireMode = "forward" | "hang" | "garbage";

/** Open until disposed; connections are closed with it. */
export class WireProxy implements AsyncDisposable {
  readonly #relay: TcpRelay;
  mode: WireMode = "forward";
  /** Connections that were accepted. */
  connections = 0;
  /** Times that the client spoke after it had listened. */
  roundTrips = 0;
  #lastSpeaker: Speaker = "server";

  constructor(targetPort: number) {
    this.#relay = new TcpRelay({
      targetPort,
      accept: () => {
        this.connections++;
        return (chunk, from) => this.#pass(chunk, from);
      },
    });
  }

  /** The URL with this proxy's port in place of the server's own. */
  through(url: string): string {
    return this.#relay.through(url);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#relay[Symbol.asyncDispose]();
  }

  #pass(chunk: Uint8Array<ArrayBuffer>, from: Speaker): Uint8Array {
    if (this.mode === "hang") return chunk.subarray(0, 0);
    if (from === "client" && this.#lastSpeaker === "server") this.roundTrips++;
    this.#lastSpeaker = from;
    return this.mode === "garbage" && from === "server" ? crypto.getRandomValues(chunk) : chunk;
  }
}
