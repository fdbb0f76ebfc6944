// A request's headers as they came, each line of a name that came more than once: `node:http` drops some of those, and
// of two credentials none may be lost. It never changes a value.

/** What `Headers` answers to `get`, for a small part of what making one costs. */
export class RawHeaders implements Pick<Headers, "get"> {
  readonly #values = new Map<string, string>();

  /** Takes names and values in turn, as `rawHeaders` has them. */
  constructor(raw: readonly string[]) {
    for (let nth = 0; nth + 1 < raw.length; nth += 2) {
      const name = (raw[nth] as string).toLowerCase();
      const value = raw[nth + 1] as string;
      const before = this.#values.get(name);
      this.#values.set(name, before === undefined ? value : `${before}, ${value}`);
    }
  }

  get(name: string): string | null {
    return this.#values.get(name.toLowerCase()) ?? null;
  }
}
