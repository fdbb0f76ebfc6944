// A shared secret as a key source; it must never serve another algorithm than HS256.
import type { KeySource, KeysState } from "./key_source.ts";

/** Bytes: HS256 needs a key as long as its hash (RFC 7518, 3.2). */
export const MIN_SECRET_BYTES = 32;

export class SecretKey implements KeySource {
  readonly algorithms = Object.freeze(["HS256"]);
  readonly state: KeysState = Object.freeze({ reached: true, failure: null });
  readonly find: KeySource["find"];

  constructor(secret: string | Uint8Array<ArrayBuffer>) {
    const bytes = typeof secret === "string" ? new TextEncoder().encode(secret) : secret.slice();
    if (bytes.length < MIN_SECRET_BYTES) {
      throw new RangeError(
        `JWT secret must have at least ${MIN_SECRET_BYTES} bytes, it has ${bytes.length}`,
      );
    }
    let key: Promise<CryptoKey> | undefined;
    this.find = () =>
      key ??= crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, [
        "verify",
      ]);
  }

  /** There is only one, and it never changes. */
  holds(): Promise<boolean> {
    return Promise.resolve(true);
  }

  reach(): Promise<boolean> {
    return Promise.resolve(true);
  }
}
