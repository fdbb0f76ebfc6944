// Counts the sockets that are upgraded only to be told why they are refused; it knows how many may be open, never whose.

/** Counts for the whole service, which another thread may do. */
export interface Refusals {
  /** Takes a place, or says that there is none left. */
  enter(): boolean | Promise<boolean>;
  /** Gives one place back. */
  leave(): void;
}

export class RefusedSockets implements Refusals {
  readonly #most: number;
  #open = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get open(): number {
    return this.#open;
  }

  enter(): boolean {
    if (this.#open >= this.#most) return false;
    this.#open++;
    return true;
  }

  leave(): void {
    this.#open--;
  }
}
