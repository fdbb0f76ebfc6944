// The issuer's key set as a worker has it: fetched and kept by the keeper, who tells what it fetched. It asks no issuer.
import { areFresh, type FetchedKeys, type KeySet } from "../auth/key_set.ts";
import type { KeysState } from "../auth/key_source.ts";
import type { Clock } from "../clock.ts";
import type { AsksKeeper } from "./remote_back.ts";

export class KeptKeySet implements KeySet {
  readonly #keeper: AsksKeeper;
  readonly #clock: Clock;
  #keys: FetchedKeys | null = null;

  constructor(keeper: AsksKeeper, clock: Clock) {
    this.#keeper = keeper;
    this.#clock = clock;
  }

  /** Why a fetch failed the keeper knows, and says in the log. */
  get state(): KeysState {
    return { reached: this.#keys !== null, failure: null };
  }

  take(keys: FetchedKeys): void {
    if (keys.number > (this.#keys?.number ?? 0)) this.#keys = keys;
  }

  async current(): Promise<FetchedKeys | null> {
    const isFresh = this.#keys !== null && areFresh(this.#keys, this.#clock);
    if (!isFresh) await this.#keeper.ask("refreshKeys", null);
    return this.#keys;
  }

  async after(number: number): Promise<FetchedKeys | null> {
    if ((this.#keys?.number ?? 0) <= number) await this.#keeper.ask("newerKeys", number);
    return this.#keys;
  }

  async reach(): Promise<boolean> {
    return await this.current() !== null;
  }
}
