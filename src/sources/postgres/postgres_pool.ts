// The bounded set of connections to PostgreSQL; the only way through it is a read as one tenant.
import type { Clock, TimerHandle } from "../../clock.ts";
import type { Log } from "../../observe/log.ts";
import type { Checkable } from "../source_check.ts";
import { SourceError } from "../source_error.ts";
import { checkSettingName, quoteIdentifier } from "./quote_identifier.ts";
import { parseServerAddress } from "./server_address.ts";
import type { Answers, Statement } from "./statement.ts";
import { TenantConnection, type TenantConnectionOptions } from "./tenant_connection.ts";
import { TenantIsolation } from "./tenant_isolation.ts";

export interface PostgresPoolOptions {
  readonly url: string;
  /** False behind a pooler that works by transaction; costs round trips. */
  readonly prepare: boolean;
  readonly maxConnections: number;
  /** What a read's transaction becomes; empty: it stays the login. */
  readonly role: string;
  readonly tenantSetting: string;
  /** What is read, `table` or `schema.table`: no answer counts unless PostgreSQL holds each of them to its policies. */
  readonly tables: readonly string[];
  readonly statementTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** PEM of the authorities that may vouch for the server. */
  readonly caCertificate?: string;
  readonly log: Log;
  readonly clock: Clock;
  /** A number in [0, 1) that spreads the delays. */
  readonly random?: () => number;
}

export interface ReadOptions {
  readonly signal: AbortSignal;
}

const TENANT_ID = /^[A-Za-z0-9_-]{1,64}$/;
/** A read that nobody waits for may keep its connection so long. */
const ABANDONED_ANSWER_MS = 1_000;
/** Lets memory on the server go, and finds a server that moved. */
const MAX_CONNECTION_AGE_MS = 30 * 60_000;
/** Between attempts at one more connection where the server gave some and no more; doubles up to the greatest. */
const MORE_BASE_MS = 250;
const MORE_MAX_MS = 30_000;
/** A tenant to ask the server about itself as: its reads have no statements. */
const NOBODY = "-";

type Waiter = PromiseWithResolvers<TenantConnection>;

export class PostgresPool implements Checkable, AsyncDisposable {
  readonly #maxConnections: number;
  readonly #connectionOptions: TenantConnectionOptions;
  readonly #life = new AbortController();
  /** Everything that holds a place on the server, until its socket is gone. */
  readonly #open = new Set<TenantConnection>();
  readonly #idle: TenantConnection[] = [];
  readonly #waiting: Waiter[] = [];
  readonly #comingAndGoing = new Set<Promise<void>>();
  readonly #random: () => number;
  #connecting = 0;
  #refusals = 0;
  #moreAt = 0;
  #moreTimer: TimerHandle | null = null;

  /** Throws TypeError on a URL, role or setting that can't be meant. Connects when first read. */
  constructor(options: PostgresPoolOptions) {
    const { url, maxConnections, tables, random = Math.random, ...rest } = options;
    if (!Number.isInteger(maxConnections) || maxConnections < 1) {
      throw new TypeError(
        `Cannot bound the pool: maxConnections must be at least 1, current value is ${maxConnections}`,
      );
    }
    if (options.role !== "") quoteIdentifier(options.role);
    checkSettingName(options.tenantSetting);
    this.#maxConnections = maxConnections;
    this.#random = random;
    const isolation = new TenantIsolation({ tables, tenantSetting: options.tenantSetting });
    this.#connectionOptions = { ...rest, address: parseServerAddress(url), isolation };
  }

  /** Connections that are open or being opened. */
  get connectionCount(): number {
    return this.#open.size + this.#connecting;
  }

  /**
   * Runs the statements under the role and the tenant's policies, in one read-only transaction and each in a snapshot of
   * its own. Resolves with one list of rows for each. Throws SourceError; an aborted signal rejects at once with its reason.
   */
  async readAsTenant<const S extends readonly Statement[]>(
    tenantId: string,
    statements: S,
    { signal }: ReadOptions,
  ): Promise<Answers<S>> {
    if (!TENANT_ID.test(tenantId)) {
      throw new TypeError(
        `Cannot read as a tenant: its id must match ${TENANT_ID.source}, current length is ${tenantId.length}`,
      );
    }
    const connection = await this.#acquire(signal);
    try {
      return await this.#readOn(connection, { tenantId, statements, signal });
    } catch (error) {
      const isLost = connection.failure !== null && !(connection.failure instanceof SourceError);
      // The server may have ended it while it lay idle, and reads change nothing: once more on a new connection.
      if (signal.aborted || !isLost) throw error;
    }
    return await this.#readOn(await this.#acquire(signal), { tenantId, statements, signal });
  }

  /** Reaches the server, and what every connection and every read must show is shown. Throws like a read. */
  async check(signal: AbortSignal): Promise<void> {
    await this.readAsTenant(NOBODY, [], { signal });
  }

  /** Ends every connection; reads under way fail. In bounded time, and more than once without harm. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new SourceError("unavailable", "The PostgreSQL pool is closed");
    this.#life.abort(closed);
    this.#refuse([...this.#waiting], closed);
    this.#idle.length = 0;
    this.#connectionOptions.clock.clearTimeout(this.#moreTimer);
    for (const connection of this.#open) this.#track(connection.close());
    await Promise.all(this.#comingAndGoing);
  }

  async #readOn<const S extends readonly Statement[]>(
    connection: TenantConnection,
    { tenantId, statements, signal }: {
      readonly tenantId: string;
      readonly statements: S;
      readonly signal: AbortSignal;
    },
  ): Promise<Answers<S>> {
    const answer = connection.read(tenantId, statements);
    // The connection comes back when its answer does, however long before that the reader has left.
    const release = () => this.#release(connection);
    answer.then(release, release);
    const left = Promise.withResolvers<never>();
    const leave = () => {
      connection.abandon(ABANDONED_ANSWER_MS);
      left.reject(signal.reason);
      // Those who wait had hoped for this one.
      this.#serve();
    };
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    try {
      return await Promise.race([answer, left.promise]);
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  async #acquire(signal: AbortSignal): Promise<TenantConnection> {
    signal.throwIfAborted();
    this.#life.signal.throwIfAborted();
    const waiter: Waiter = Promise.withResolvers();
    const leave = () => {
      const index = this.#waiting.indexOf(waiter);
      if (index >= 0) this.#waiting.splice(index, 1);
      waiter.reject(signal.reason);
    };
    signal.addEventListener("abort", leave, { once: true });
    this.#waiting.push(waiter);
    this.#serve();
    try {
      const connection = await waiter.promise;
      // It was handed over just before the signal fell.
      if (signal.aborted) this.#release(connection);
      signal.throwIfAborted();
      return connection;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  #release(connection: TenantConnection): void {
    if (!connection.isUsable) {
      // What broke this one most likely broke those that lie idle.
      for (const idle of this.#idle.splice(0)) this.#track(idle.close());
      return;
    }
    const age = this.#connectionOptions.clock.monotonicNow() - connection.openedAt;
    if (this.#life.signal.aborted || age > MAX_CONNECTION_AGE_MS) {
      this.#track(connection.close());
      return;
    }
    this.#idle.push(connection);
    this.#serve();
  }

  /** Hands idle connections to those who wait, and opens as many more as are wanted and allowed. */
  #serve(): void {
    while (this.#waiting.length > 0) {
      const connection = this.#idle.pop();
      if (connection === undefined) break;
      this.#waiting.shift()?.resolve(connection);
    }
    while (this.#connecting < this.#waiting.length && this.#mayConnect()) {
      this.#connecting++;
      this.#track(this.#connect());
    }
  }

  /** While none can be hoped for, and after a refusal, a single attempt at a time finds out for everybody. */
  #mayConnect(): boolean {
    if (this.connectionCount >= this.#maxConnections) return false;
    if (!this.#isHopeful()) return this.#connecting === 0;
    if (this.#refusals === 0) return true;
    return this.#connecting === 0 &&
      this.#connectionOptions.clock.monotonicNow() >= this.#moreAt;
  }

  /** Whether those who wait will get a connection that is open already. */
  #isHopeful(): boolean {
    return this.#open.values().some((connection) => connection.isPromising);
  }

  async #connect(): Promise<void> {
    const { log } = this.#connectionOptions;
    const asking = [...this.#waiting];
    let connection: TenantConnection;
    try {
      connection = await TenantConnection.open(this.#connectionOptions, this.#life.signal);
    } catch (error) {
      this.#connecting--;
      // With a connection left, those who wait get that one in turn; without, all that the attempt was made for learn
      // it now. Who came later learns from a later one: this one may have met a server that has come back since.
      if (this.#isHopeful()) this.#holdBack();
      else this.#refuse(asking, error);
      this.#serve();
      return;
    }
    this.#connecting--;
    this.#refusals = 0;
    this.#moreAt = 0;
    this.#open.add(connection);
    log.debug("postgres_connected", { connections: this.#open.size });
    connection.gone.then((reason) => {
      this.#open.delete(connection);
      const index = this.#idle.indexOf(connection);
      if (index >= 0) this.#idle.splice(index, 1);
      log.debug("postgres_disconnected", { connections: this.#open.size, reason: reason.message });
      this.#serve();
    });
    this.#release(connection);
  }

  /** A server that has no connection left for us must not be asked for one more with every read. */
  #holdBack(): void {
    const { clock } = this.#connectionOptions;
    const now = clock.monotonicNow();
    // Attempts that were under way together are one refusal.
    if (now < this.#moreAt) return;
    const ceilingMs = Math.min(MORE_MAX_MS, MORE_BASE_MS * 2 ** this.#refusals);
    this.#refusals++;
    const delayMs = ceilingMs * (0.5 + this.#random() / 2);
    this.#moreAt = now + delayMs;
    clock.clearTimeout(this.#moreTimer);
    if (!this.#life.signal.aborted) {
      this.#moreTimer = clock.setTimeout(() => this.#serve(), Math.ceil(delayMs));
    }
  }

  #refuse(waiters: readonly Waiter[], error: unknown): void {
    for (const waiter of waiters) {
      const index = this.#waiting.indexOf(waiter);
      if (index >= 0) this.#waiting.splice(index, 1);
      waiter.reject(error);
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#comingAndGoing.delete(tracked));
    this.#comingAndGoing.add(tracked);
  }
}
