// Where verification keys come from, as the verifier sees it: whichever source it is, the kind of its keys alone decides
// which algorithms may be used.
import type { JWTClaimVerificationOptions } from "jose";
import type { Claims } from "./scope.ts";

/** What readiness asks about the keys. */
export interface KeysState {
  /** True once there are keys to verify with; it stays true when the issuer goes down later. */
  readonly reached: boolean;
  /** Why the last fetch failed, or null when it did not. */
  readonly failure: Error | null;
}

/** What the registered claims must say. */
export type ClaimRules = Pick<
  JWTClaimVerificationOptions,
  "audience" | "clockTolerance" | "currentDate" | "issuer"
>;

/** What a token says whose signature was verified. */
export interface Authentic {
  readonly claims: Claims;
  /** Null where several keys were tried: which of them it was is not told, so that the token is not remembered. */
  readonly key: VerificationKey | null;
}

/** Stands for a key that a token was verified with: its object is compared, and nothing else. */
export type VerificationKey = object;

export interface KeySource {
  readonly state: KeysState;
  /**
   * Verifies a token in compact form: its signature by a key and an algorithm of this source, its registered claims by the
   * rules. Throws what jose throws, or AuthError `keys_unavailable` while no key was ever reached; at once where it need
   * not wait.
   */
  authenticate(token: string, rules: ClaimRules): Authentic | Promise<Authentic>;
  /** Whether `authenticate` could use the key now; keys that are too old are fetched again first, as it does it. */
  holds(key: VerificationKey): Promise<boolean>;
  /** Tries to have keys, as often as the cooldown lets it, and says whether there are any; never rejects. */
  reach(): Promise<boolean>;
}
