// Lets all through together who come in one turn of the event loop. It holds nobody for longer than that.
import { setImmediate } from "node:timers";

export class TurnGate {
  /** Opens at the end of this turn; null while nobody waits. */
  #opening: Promise<void> | null = null;

  /** Resolves at the end of this turn of the event loop, for all who came in it one after the other; it never rejects. */
  pass(): Promise<void> {
    return this.#opening ??= new Promise((resolve) =>
      setImmediate(() => {
        this.#opening = null;
        resolve();
      })
    );
  }
}
