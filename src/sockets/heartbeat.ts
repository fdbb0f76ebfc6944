// Pings many sockets from one timer, a slice of them each beat, and ends those that stay silent; never all at once.
export interface Heart {
  ping(): void;
  terminate(): void;
}

export interface HeartbeatOptions {
  /** Each heart is pinged this often; silent for a whole round it is ended at the next. */
  readonly intervalMs: number;
}

/** Slices of a round: with 20,000 sockets and 20 s, a thousand pings a second. */
const SLICES = 20;

interface Beating {
  readonly heart: Heart;
  isAlive: boolean;
}

export class Heartbeat implements Disposable {
  readonly #slices: ReadonlyArray<Map<Heart, Beating>> = Array.from(
    { length: SLICES },
    () => new Map(),
  );
  readonly #timer: ReturnType<typeof setInterval>;
  #joined = 0;
  #beat = 0;

  constructor({ intervalMs }: HeartbeatOptions) {
    this.#timer = setInterval(() => this.#pingSlice(), intervalMs / SLICES);
  }

  /** Takes a heart in; call `heard` when it shows life and `leave` when it is gone. */
  join(heart: Heart): { heard(): void; leave(): void } {
    const slice = this.#slices[this.#joined++ % SLICES];
    const beating: Beating = { heart, isAlive: true };
    slice?.set(heart, beating);
    return {
      heard: () => void (beating.isAlive = true),
      leave: () => void slice?.delete(heart),
    };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #pingSlice(): void {
    for (const beating of this.#slices[this.#beat++ % SLICES]?.values() ?? []) {
      if (beating.isAlive) {
        beating.isAlive = false;
        beating.heart.ping();
      } else {
        beating.heart.terminate();
      }
    }
  }
}
