// Who sits where: counts sockets in all and by address, tenant and user, and refuses the one too many. A seat is taken
// before its socket opens and given back exactly once.
import type { Scope } from "../auth/scope.ts";
import type { LimitLedger, LimitName } from "./limits.ts";

type ByAddress = "connections_per_address";
type Count = "connections_per_address" | "connections_per_tenant" | "connections_per_user";

/** A place that was taken; giving it back twice does nothing. */
export class Seat {
  #leave: (() => void) | null;
  readonly #widen: (scope: Scope) => LimitName | null;

  constructor(leave: () => void, widen: (scope: Scope) => LimitName | null) {
    this.#leave = leave;
    this.#widen = widen;
  }

  /** Counts the seat for its tenant and user too, or names the limit that forbids it. */
  claim(scope: Scope): LimitName | null {
    return this.#widen(scope);
  }

  leave(): void {
    const leave = this.#leave;
    this.#leave = null;
    leave?.();
  }
}

export class Seats {
  readonly #ledger: LimitLedger;
  #taken = 0;
  readonly #counts: Readonly<Record<Count, Map<string, number>>> = {
    connections_per_address: new Map(),
    connections_per_tenant: new Map(),
    connections_per_user: new Map(),
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

  /** What the scope's tenant and user hold now. */
  takenFor({ tenantId, userId }: Scope): Readonly<Record<Exclude<Count, ByAddress>, number>> {
    return {
      connections_per_tenant: this.takenBy("connections_per_tenant", tenantId),
      connections_per_user: this.takenBy("connections_per_user", userKey(tenantId, userId)),
    };
  }

  /** Takes a seat for an address, before anything is known of who comes. */
  take(address: string): Seat | LimitName {
    if (this.#taken >= this.#ledger.values.connections) return this.#refuse("connections");
    if (this.#isFull("connections_per_address", address)) {
      return this.#refuse("connections_per_address");
    }
    this.#enter("connections_per_address", address);
    this.#taken++;
    const held: Array<[Count, string]> = [["connections_per_address", address]];
    return new Seat(
      () => {
        this.#taken--;
        for (const [count, key] of held) this.#exit(count, key);
      },
      (scope) => {
        const { tenantId, userId } = scope;
        const wider: ReadonlyArray<[Count, string]> = [
          ["connections_per_tenant", tenantId],
          ["connections_per_user", userKey(tenantId, userId)],
        ];
        // All or none: one who is refused for one count must not hold a place in another.
        for (const [count, key] of wider) {
          if (this.#isFull(count, key)) return this.#refuse(count);
        }
        for (const [count, key] of wider) {
          this.#enter(count, key);
          held.push([count, key]);
        }
        return null;
      },
    );
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

/** Two tenants may each have a user of the same name. */
function userKey(tenantId: string, userId: Scope["userId"]): string {
  return JSON.stringify([tenantId, userId]);
}
