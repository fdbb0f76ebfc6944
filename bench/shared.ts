// What several benches stand on one after the other, opened by the first that asks and closed when none that is left needs
// it: filling databases and opening thousands of sockets takes longer than what is measured on them. It must never keep
// anything on which a bench has failed.

export interface Shareable<Thing extends AsyncDisposable> {
  readonly name: string;
  /** May stand on others itself. */
  open(shared: Shared): Promise<Thing>;
}

export class Shared implements AsyncDisposable {
  readonly #opened = new Map<string, AsyncDisposable>();

  async get<Thing extends AsyncDisposable>({ name, open }: Shareable<Thing>): Promise<Thing> {
    const opened = this.#opened.get(name) as Thing | undefined;
    if (opened !== undefined) return opened;
    const thing = await open(this);
    this.#opened.set(name, thing);
    return thing;
  }

  /** Closes all others, the newest first; throws when one could not be closed in order, after the rest. */
  async keep(names: ReadonlySet<string>): Promise<void> {
    await using closing = new AsyncDisposableStack();
    for (const [name, thing] of [...this.#opened]) {
      if (names.has(name)) continue;
      this.#opened.delete(name);
      closing.use(thing);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.keep(new Set());
  }
}
