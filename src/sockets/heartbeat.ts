// Pings many sockets from one timer, a slice of them each beat, and ends those that stay silent; never all at once.
export interface Heart {
  /** Set whenever it shows life, and cleared by the heartbeat with each ping. */
  isAlive: boolean;
  ping(): void;
  terminate(): void;
}

export interface HeartbeatOptions {
  /** Each heart is pinged this often; silent for a whole round it is ended at the next. */
  readonly intervalMs: number;
}

/** Slices of a round: with 20,000 sockets and 20 s, a thousand pings a second. */
const SLICES = 20;

export class Heartbeat implements Disposable {
  readonly #slices: ReadonlyArray<Set<Heart>> = Array.from({ length: SLICES }, () => new Set());
  readonly #timer: ReturnType<typeof setInterval>;
  #joined = 0;
  #beat = 0;

  constructor({ intervalMs }: HeartbeatOptions) {
    this.#timer = setInterval(() => this.#pingSlice(), intervalMs / SLICES);
  }

  /** Takes a heart in and returns the slice that it beats in, by which it leaves. */
  join(heart: Heart): number {
    const slice = this.#joined++ % SLICES;
    this.#slices[slice]?.add(heart);
    return slice;
  }

  leave(heart: Heart, slice: number): void {
    this.#slices[slice]?.delete(heart);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #pingSlice(): void {
    for (const heart of this.#slices[this.#beat++ % SLICES] ?? []) {
      if (heart.isAlive) {
        heart.isAlive = false;
        heart.ping();
      } else {
        heart.terminate();
      }
    }
  }
}
