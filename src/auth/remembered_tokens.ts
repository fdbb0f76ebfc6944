// What tokens said whose signature was verified, found by their SHA-256. It must never hold a token, hold one that was
// refused, or judge whether one is still good.
import { hash } from "node:crypto";
import type { VerificationKey } from "./key_source.ts";
import type { Scope } from "./scope.ts";

/**
 * Twice as many as MAX_CONNECTIONS has by default: half of them are surely remembered, as all clients may come back at
 * once. Each takes some 600 bytes.
 */
export const MAX_REMEMBERED_TOKENS = 40_000;

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

/**
 * At most MAX_REMEMBERED_TOKENS, among them always the half that was asked for last. The other half is forgotten at once:
 * whoever looks for the oldest in a map passes the places of all that were forgotten before it.
 */
export class RememberedTokens {
  /** Those that were asked for lately. */
  #young = new Map<string, VerifiedToken>();
  /** Those that were before them. */
  #old = new Map<string, VerifiedToken>();

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  find(digest: string): VerifiedToken | undefined {
    const young = this.#young.get(digest);
    if (young !== undefined) return young;
    const old = this.#old.get(digest);
    if (old !== undefined) this.remember(digest, old);
    return old;
  }

  remember(digest: string, token: VerifiedToken): void {
    this.#old.delete(digest);
    this.#young.set(digest, token);
    if (this.#young.size < MAX_REMEMBERED_TOKENS / 2) return;
    this.#old = this.#young;
    this.#young = new Map();
  }

  forget(digest: string): void {
    this.#young.delete(digest);
    this.#old.delete(digest);
  }
}
