// Finds bytes in what a socket received, for whoever reads no message as a whole.
import { Buffer } from "node:buffer";

/** Bytes that are looked for: at one byte in as many as they are, where nothing of them stands. */
export class Needle {
  readonly #bytes: Uint8Array;
  /** How far on the needle may end at the earliest, by the byte that stands where it could. */
  readonly #skip: Uint8Array;

  constructor(text: string) {
    this.#bytes = Buffer.from(text);
    const last = this.#bytes.length - 1;
    this.#skip = new Uint8Array(256).fill(last + 1);
    for (let nth = 0; nth < last; nth++) this.#skip[this.#bytes[nth] as number] = last - nth;
  }

  /** Where it begins first; -1 where it does not stand between the two places. */
  findIn(bytes: Uint8Array, { from, to }: { readonly from: number; readonly to: number }): number {
    const needle = this.#bytes;
    const last = needle.length - 1;
    for (let end = from + last; end < to; end += this.#skip[bytes[end] as number] as number) {
      let nth = last;
      while (nth >= 0 && bytes[end - last + nth] === needle[nth]) nth--;
      if (nth < 0) return end - last;
    }
    return -1;
  }
}
