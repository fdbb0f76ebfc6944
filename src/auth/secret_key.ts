// A shared secret as a key source; it must never serve another algorithm than HS256.
import { createHmac, timingSafeEqual } from "node:crypto";
import { base64url, decodeProtectedHeader, errors, UnsecuredJWT } from "jose";
import type { Authentic, ClaimRules, KeySource, KeysState } from "./key_source.ts";

/** Bytes: HS256 needs a key as long as its hash (RFC 7518, 3.2). */
export const MIN_SECRET_BYTES = 32;

/** In front of claims whose signature was verified here, so that jose judges them. */
const UNSECURED = base64url.encode('{"alg":"none"}');

export class SecretKey implements KeySource {
  readonly state: KeysState = Object.freeze({ reached: true, failure: null });
  readonly #secret: Uint8Array<ArrayBuffer>;
  /** Stands for the secret, which nobody needs to see. */
  readonly #key = Object.freeze({});
  /** The encoded header that was found right last: an issuer's tokens share it. */
  #rightHeader = "";

  constructor(secret: string | Uint8Array<ArrayBuffer>) {
    // Bytes of its own, not a part of what other buffers are cut from.
    this.#secret = typeof secret === "string" ? new TextEncoder().encode(secret) : secret.slice();
    const { length } = this.#secret;
    if (length < MIN_SECRET_BYTES) {
      throw new RangeError(
        `JWT secret must have at least ${MIN_SECRET_BYTES} bytes, it has ${length}`,
      );
    }
  }

  /**
   * Done when it returns. jose's own verification hands each token to another thread: for a hash of some hundred bytes
   * that costs several times the hash.
   */
  authenticate(token: string, rules: ClaimRules): Authentic {
    const headerEnd = token.indexOf(".");
    const claimsEnd = token.lastIndexOf(".");
    const header = token.slice(0, headerEnd);
    if (header !== this.#rightHeader) {
      assertHeader(token);
      this.#rightHeader = header;
    }
    const signature = base64url.decode(token.slice(claimsEnd + 1));
    const due = createHmac("sha256", this.#secret).update(token.slice(0, claimsEnd)).digest();
    if (signature.length !== due.length || !timingSafeEqual(signature, due)) {
      throw new errors.JWSSignatureVerificationFailed();
    }
    const { payload } = UnsecuredJWT.decode(
      `${UNSECURED}.${token.slice(headerEnd + 1, claimsEnd)}.`,
      rules,
    );
    return { claims: payload, key: this.#key };
  }

  /** There is only one, and it never changes. */
  holds(): Promise<boolean> {
    return Promise.resolve(true);
  }

  reach(): Promise<boolean> {
    return Promise.resolve(true);
  }
}

function assertHeader(token: string): void {
  const { alg, crit } = decodeProtectedHeader(token);
  if (alg !== "HS256") {
    throw new errors.JOSEAlgNotAllowed('"alg" (Algorithm) Header Parameter value not allowed');
  }
  // Whoever says that a header must be understood means one that nothing here knows (RFC 7515, 4.1.11).
  if (crit !== undefined) throw new errors.JOSENotSupported("Critical header is not known");
}
