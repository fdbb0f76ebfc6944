// The bytes of pushes of several messages: sockets that are sent the same ones share one copy of them. It must not keep
// much of what nobody else is sent.
import { areSameFrames, type Frame } from "../protocol/frame.ts";
import { wiresOf } from "./wire.ts";

interface Joined {
  readonly frames: readonly Frame[];
  readonly wire: Uint8Array;
}

/**
 * After so long all are forgotten: sockets that are sent the same are sent it in a row, and bytes that stay for longer
 * are collected with the old part of the heap only.
 */
const KEPT_MS = 50;
/** When one more comes they are forgotten: most of them are of an earlier tick. */
const MAX_KEPT = 256;
/** Of all that is kept: what many come back to at once is some 70 KiB for each of them. Larger ones are not kept. */
const MAX_KEPT_BYTES = 8 * 1_024 * 1_024;

export class JoinedWires {
  /** By the first of their messages: who follows the same devices is sent them in the same order. */
  #kept = new Map<Frame, Joined>();
  #keptBytes = 0;
  /** When the first of them came, in milliseconds on the clock that is never set back. */
  #keptSince = -Infinity;
  readonly #now: () => number;

  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  /** The frames of all the messages, one after the other; nobody may write into it. */
  of(frames: readonly Frame[]): Uint8Array {
    if (this.#kept.size > 0 && this.#now() - this.#keptSince > KEPT_MS) this.#forget();
    const [first] = frames;
    const known = first === undefined ? undefined : this.#kept.get(first);
    if (known !== undefined && areSameFrames(known.frames, frames)) return known.wire;
    const wire = wiresOf(frames);
    if (first === undefined || wire.length > MAX_KEPT_BYTES) return wire;
    const replacedBytes = known?.wire.length ?? 0;
    const isFull = known === undefined && this.#kept.size >= MAX_KEPT;
    if (isFull || this.#keptBytes - replacedBytes + wire.length > MAX_KEPT_BYTES) this.#forget();
    else this.#keptBytes -= replacedBytes;
    if (this.#kept.size === 0) this.#keptSince = this.#now();
    this.#keptBytes += wire.length;
    this.#kept.set(first, { frames: [...frames], wire });
    return wire;
  }

  #forget(): void {
    // Another map: one that is emptied keeps its table, and all in it, for whoever might walk through it.
    this.#kept = new Map();
    this.#keptBytes = 0;
  }
}
