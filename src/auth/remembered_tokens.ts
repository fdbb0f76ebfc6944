// What tokens said whose signature was verified, found by their SHA-256. It must never hold a token, hold one that was
// refused, or judge whether one is still good.
import { hash } from "node:crypto";
import type { VerificationKey } from "./key_source.ts";
import type { Scope } from "./scope.ts";

/** As many as MAX_CONNECTIONS has by default: all clients may come back at once. Each takes some 600 bytes. */
export const MAX_REMEMBERED_TOKENS = 20_000;

/** A token's scope, the times that it names, and the key that its signature was verified with. */
export interface VerifiedToken {
  readonly scope: Scope;
  /** Milliseconds since the epoch; -Infinity where the token names none. */
  readonly notBefore: number;
  readonly issuedAt: number;
  readonly key: VerificationKey;
}

/** A name that can't be turned back into the token, and that no other token has. */
export function digestOf(token: string): string {
  return hash("sha256", token, "base64");
}

/** At most MAX_REMEMBERED_TOKENS; beyond it the one that was not asked for the longest is forgotten. */
export class RememberedTokens {
  /** In the order in which they were last asked for. */
  readonly #tokens = new Map<string, VerifiedToken>();

  get size(): number {
    return this.#tokens.size;
  }

  find(digest: string): VerifiedToken | undefined {
    const token = this.#tokens.get(digest);
    if (token === undefined) return undefined;
    this.#tokens.delete(digest);
    this.#tokens.set(digest, token);
    return token;
  }

  remember(digest: string, token: VerifiedToken): void {
    this.#tokens.delete(digest);
    if (this.#tokens.size >= MAX_REMEMBERED_TOKENS) {
      const [oldest] = this.#tokens.keys();
      if (oldest !== undefined) this.#tokens.delete(oldest);
    }
    this.#tokens.set(digest, token);
  }

  forget(digest: string): void {
    this.#tokens.delete(digest);
  }
}
