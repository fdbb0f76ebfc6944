// One-time tickets that stand for a verified scope, for clients that can't keep a token out of a URL; short-lived and
// spent at once. They live in this process only.
import { base64url } from "jose";
import type { Clock } from "../clock.ts";
import type { Scope } from "./scope.ts";

export interface TicketOptions {
  readonly lifetimeMs: number;
  /** Tickets that may wait at once; beyond it the oldest is void of the tenant that holds the most. */
  readonly maxTickets: number;
  readonly clock: Clock;
}

/** Bytes of chance in a ticket: as hard to guess as a key. */
const TICKET_BYTES = 32;

/** Gives out the tickets of the whole service and takes them back, which another thread may do. */
export interface TicketDesk {
  issue(scope: Scope): string | Promise<string>;
  /** The scope that the ticket stands for, once; null for one that is spent, expired or unknown. */
  redeem(ticket: string): Scope | null | Promise<Scope | null>;
}

interface Waiting {
  readonly scope: Scope;
  /** On the monotonic clock. */
  readonly voidAt: number;
}

export class Tickets implements TicketDesk {
  readonly #options: TicketOptions;
  /** In the order of expiry, as all live equally long. */
  readonly #waiting = new Map<string, Waiting>();
  /** The same by tenant, the oldest first. */
  readonly #byTenant = new Map<string, Set<string>>();

  constructor(options: TicketOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  issue(scope: Scope): string {
    const { clock, lifetimeMs, maxTickets } = this.#options;
    this.#forgetExpired();
    if (this.#waiting.size >= maxTickets) this.#forgetOne();
    const ticket = base64url.encode(crypto.getRandomValues(new Uint8Array(TICKET_BYTES)));
    this.#waiting.set(ticket, { scope, voidAt: clock.monotonicNow() + lifetimeMs });
    const { tenantId } = scope;
    const ofTenant = this.#byTenant.get(tenantId);
    if (ofTenant === undefined) this.#byTenant.set(tenantId, new Set([ticket]));
    else ofTenant.add(ticket);
    return ticket;
  }

  redeem(ticket: string): Scope | null {
    const waiting = this.#waiting.get(ticket);
    if (waiting === undefined) return null;
    this.#forget(ticket, waiting.scope);
    const { clock } = this.#options;
    const isGood = clock.monotonicNow() < waiting.voidAt && clock.now() < waiting.scope.expiresAt;
    return isGood ? waiting.scope : null;
  }

  #forgetExpired(): void {
    const now = this.#options.clock.monotonicNow();
    for (const [ticket, { voidAt, scope }] of this.#waiting) {
      if (voidAt > now) return;
      this.#forget(ticket, scope);
    }
  }

  /** Who asks on and on makes its own void, whoever asks next: those of others are fewer. */
  #forgetOne(): void {
    let most: ReadonlySet<string> = new Set();
    for (const tickets of this.#byTenant.values()) if (tickets.size > most.size) most = tickets;
    const [oldest = ""] = most;
    const waiting = this.#waiting.get(oldest);
    if (waiting !== undefined) this.#forget(oldest, waiting.scope);
  }

  #forget(ticket: string, { tenantId }: Scope): void {
    this.#waiting.delete(ticket);
    const ofTenant = this.#byTenant.get(tenantId);
    ofTenant?.delete(ticket);
    if (ofTenant?.size === 0) this.#byTenant.delete(tenantId);
  }
}
