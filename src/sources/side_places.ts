// Half of a source's places for all who ask beside the ticks, so that a flood of questions leaves the other half free.
// Nobody waits without end, neither in number nor, as every wait has a signal, in time, and nobody behind another's line.

export interface SidePlacesOptions {
  /** Questions that may be under way at once. */
  readonly places: number;
  /** Questions of one key, under way and waiting; one tenant must not take the whole line. */
  readonly maxPerKey: number;
  /** Questions that may wait, of all keys. */
  readonly maxWaiting: number;
}

export class SidePlaces {
  readonly #options: SidePlacesOptions;
  /** A line for each key, in the order of their turns. */
  readonly #lines = new Map<string, (() => void)[]>();
  readonly #asking = new Map<string, number>();
  #taken = 0;

  constructor(options: SidePlacesOptions) {
    this.#options = options;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#lines.values().reduce((waiting, line) => waiting + line.length, 0);
  }

  /** Keys that ask for something now. */
  get keys(): number {
    return this.#asking.size;
  }

  /** Runs `read` in its turn; null where the line is full. Rejects with the signal's reason while it waits. */
  async run<T>(
    key: string,
    { signal, read }: { readonly signal: AbortSignal; readonly read: () => Promise<T> },
  ): Promise<{ readonly value: T } | null> {
    const { places, maxPerKey, maxWaiting } = this.#options;
    const asking = this.#asking.get(key) ?? 0;
    const mustWait = this.#taken >= places;
    if (asking >= maxPerKey || (mustWait && this.waiting >= maxWaiting)) return null;
    this.#asking.set(key, asking + 1);
    try {
      if (mustWait) await this.#turn(key, signal);
      else this.#taken++;
      try {
        signal.throwIfAborted();
        return { value: await read() };
      } finally {
        this.#leave();
      }
    } finally {
      const left = (this.#asking.get(key) ?? 1) - 1;
      if (left > 0) this.#asking.set(key, left);
      else this.#asking.delete(key);
    }
  }

  /** A place that is left goes to the first who waits of the key whose turn it is, without ever being free. */
  #leave(): void {
    for (const [key, line] of this.#lines) {
      const next = line.shift();
      this.#lines.delete(key);
      if (line.length > 0) this.#lines.set(key, line);
      if (next !== undefined) return next();
    }
    this.#taken--;
  }

  #turn(key: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const take = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        line.splice(line.indexOf(take), 1);
        if (line.length === 0) this.#lines.delete(key);
        reject(signal.reason);
      };
      const line = this.#lines.get(key) ?? [];
      line.push(take);
      this.#lines.set(key, line);
      signal.addEventListener("abort", leave, { once: true });
    });
  }
}
