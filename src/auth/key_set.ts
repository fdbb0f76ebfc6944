// An issuer's key set as whoever verifies with it sees it. Plain data crosses here: who fetches it may be another thread.
import { type Clock, isYoung } from "../clock.ts";
import type { KeysState } from "./key_source.ts";

/** What one fetch brought. */
export interface FetchedKeys {
  /** Counts fetches from 1: the higher is the newer. */
  readonly number: number;
  /** The document as JSON; it has keys. */
  readonly text: string;
  /** Milliseconds since the epoch. */
  readonly fetchedAt: number;
  readonly maxAgeMs: number;
}

export interface KeySet {
  readonly state: KeysState;
  /**
   * The keys to verify with now, fetched again first where they are too old; null while none were ever reached. It never
   * rejects.
   */
  current(): Promise<FetchedKeys | null>;
  /**
   * Keys that are newer than those of this number, which are fetched where the cooldown lets it; the keys at hand where
   * there are none. It never rejects.
   */
  after(number: number): Promise<FetchedKeys | null>;
  /** Tries to have keys, as often as the cooldown lets it, and says whether there are any; never rejects. */
  reach(): Promise<boolean>;
}

/** Whether keys may be used without asking again. */
export function areFresh({ fetchedAt, maxAgeMs }: FetchedKeys, clock: Clock): boolean {
  return isYoung(fetchedAt, { maxAgeMs, clock });
}
