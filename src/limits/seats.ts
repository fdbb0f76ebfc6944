// Who sits where: counts sockets in all and by address, tenant and user, and refuses the one too many. A seat is taken
// before its socket opens and given back exactly once.
import type { Scope } from "../auth/scope.ts";
import type { LimitLedger, LimitName } from "./limits.ts";

type ByAddress = "connections_per_address";
type Count = "connections_per_address" | "connections_per_tenant" | "connections_per_user";

/** A place that was taken; giving it back twice does nothing. */
export interface TakenSeat {
  /** Counts the seat for its tenant and user too, or names the limit that forbids it. */
  claim(scope: Scope): LimitName | null | Promise<LimitName | null>;
  leave(): void;
}

export type TakenBy = Readonly<Record<Exclude<Count, ByAddress>, number>>;

/** Gives the seats of the whole service, which may be counted by another thread. */
export interface Seating {
  /** Takes a seat for an address, before anything is known of who comes; or names the limit that forbids it. */
  take(address: string): TakenSeat | LimitName | Promise<TakenSeat | LimitName>;
  /** What the scope's tenant and user hold now. */
  takenFor(scope: Scope): TakenBy | Promise<TakenBy>;
}

/** Where seats are counted. */
interface Book {
  widen(scope: Scope): LimitName | null;
  giveBack(address: string, scope: Scope | null): void;
}

export class Seat implements TakenSeat {
  readonly #address: string;
  /** Null once it was given back. */
  #book: Book | null;
  /** Whom it is counted for beside its address. */
  #scope: Scope | null = null;

  constructor(address: string, book: Book) {
    this.#address = address;
    this.#book = book;
  }

  claim(scope: Scope): LimitName | null {
    const full = this.#book?.widen(scope) ?? null;
    if (full === null) this.#scope = scope;
    return full;
  }

  leave(): void {
    const book = this.#book;
    this.#book = null;
    book?.giveBack(this.#address, this.#scope);
  }
}

export class Seats implements Seating {
  readonly #ledger: LimitLedger;
  #taken = 0;
  readonly #counts: Readonly<Record<Count, Map<string, number>>> = {
    connections_per_address: new Map(),
    connections_per_tenant: new Map(),
    connections_per_user: new Map(),
  };
  readonly #book: Book = {
    widen: (scope) => this.#widen(scope),
    giveBack: (address, scope) => this.#giveBack(address, scope),
  };

  constructor(ledger: LimitLedger) {
    this.#ledger = ledger;
  }

  get taken(): number {
    return this.#taken;
  }

  takenBy(count: Count, key: string): number {
    return this.#counts[count].get(key) ?? 0;
  }

  takenFor({ tenantId, userId }: Scope): TakenBy {
    return {
      connections_per_tenant: this.takenBy("connections_per_tenant", tenantId),
      connections_per_user: this.takenBy("connections_per_user", userKey(tenantId, userId)),
    };
  }

  take(address: string): Seat | LimitName {
    if (this.#taken >= this.#ledger.values.connections) return this.#refuse("connections");
    if (this.#isFull("connections_per_address", address)) {
      return this.#refuse("connections_per_address");
    }
    this.#enter("connections_per_address", address);
    this.#taken++;
    return new Seat(address, this.#book);
  }

  /** All or none: one who is refused for one count must not hold a place in another. */
  #widen(scope: Scope): LimitName | null {
    const wider = widerCounts(scope);
    for (const [count, key] of wider) {
      if (this.#isFull(count, key)) return this.#refuse(count);
    }
    for (const [count, key] of wider) this.#enter(count, key);
    return null;
  }

  #giveBack(address: string, scope: Scope | null): void {
    this.#taken--;
    this.#exit("connections_per_address", address);
    for (const [count, key] of scope === null ? [] : widerCounts(scope)) this.#exit(count, key);
  }

  #isFull(count: Count, key: string): boolean {
    return this.takenBy(count, key) >= this.#ledger.values[count];
  }

  #enter(count: Count, key: string): void {
    this.#counts[count].set(key, this.takenBy(count, key) + 1);
  }

  #exit(count: Count, key: string): void {
    const taken = this.takenBy(count, key) - 1;
    if (taken > 0) this.#counts[count].set(key, taken);
    else this.#counts[count].delete(key);
  }

  #refuse(name: LimitName): LimitName {
    this.#ledger.crossed(name);
    return name;
  }
}

function widerCounts({ tenantId, userId }: Scope): ReadonlyArray<readonly [Count, string]> {
  return [
    ["connections_per_tenant", tenantId],
    ["connections_per_user", userKey(tenantId, userId)],
  ];
}

/** Two tenants may each have a user of the same name. */
function userKey(tenantId: string, userId: Scope["userId"]): string {
  return JSON.stringify([tenantId, userId]);
}
