// Between the samples that arrive and a loop that takes them one by one: never holds more than its capacity, whatever the
// loop does.
//
// In mode latest a sample that nobody took yet is replaced by the newer one of its device. In mode every, and for history,
// a full buffer takes no more; the listener is left behind, and once half of it was taken what it missed is asked for
// again from where it is. So a slow loop is late, and loses nothing.
import type { Mode } from "./device_needs.ts";
import type { DeviceSample } from "./follower.ts";

export interface SampleBufferOptions {
  readonly mode: Mode;
  readonly capacity: number;
  /** There is room again after there was none. */
  readonly drained: () => void;
  /** The loop has ended. */
  readonly left: () => void;
}

interface Waiting {
  readonly resolve: (result: IteratorResult<DeviceSample, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

export class SampleBuffer implements AsyncIterableIterator<DeviceSample, undefined> {
  readonly #options: SampleBufferOptions;
  #held: { sample: DeviceSample }[] = [];
  readonly #newest = new Map<string, { sample: DeviceSample }>();
  readonly #waiting: Waiting[] = [];
  #isFull = false;
  #end: { readonly error: unknown } | "quiet" | null = null;

  constructor(options: SampleBufferOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#held.length;
  }

  /** False where there is no room. */
  put(sample: DeviceSample): boolean {
    if (this.#end !== null) return true;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      waiting.resolve({ value: sample, done: false });
      return true;
    }
    const isReplaceable = this.#options.mode === "latest" && sample.origin === "live";
    const newest = isReplaceable ? this.#newest.get(sample.device_id) : undefined;
    if (newest !== undefined) {
      newest.sample = sample;
      return true;
    }
    if (this.#held.length >= this.#options.capacity) {
      this.#isFull = true;
      return false;
    }
    const entry = { sample };
    this.#held.push(entry);
    if (isReplaceable) this.#newest.set(sample.device_id, entry);
    return true;
  }

  /** Ends the loop once it has taken what is held; with an error, by throwing it. */
  end(error?: unknown): void {
    if (this.#end !== null) return;
    this.#end = error === undefined ? "quiet" : { error };
    for (const waiting of this.#waiting.splice(0)) this.#settle(waiting);
    this.#options.left();
  }

  next(): Promise<IteratorResult<DeviceSample, undefined>> {
    const entry = this.#held.shift();
    if (entry === undefined) {
      return new Promise((resolve, reject) => {
        const waiting = { resolve, reject };
        if (this.#end === null) this.#waiting.push(waiting);
        else this.#settle(waiting);
      });
    }
    const { sample } = entry;
    if (this.#newest.get(sample.device_id) === entry) this.#newest.delete(sample.device_id);
    if (this.#isFull && this.#held.length <= this.#options.capacity / 2) {
      this.#isFull = false;
      this.#options.drained();
    }
    return Promise.resolve({ value: sample, done: false });
  }

  return(): Promise<IteratorResult<DeviceSample, undefined>> {
    this.#held = [];
    this.#newest.clear();
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** An error is thrown once; whoever asks again is at the end. */
  #settle({ resolve, reject }: Waiting): void {
    if (this.#end === null || this.#end === "quiet") resolve({ value: undefined, done: true });
    else {
      reject(this.#end.error);
      this.#end = "quiet";
    }
  }
}
