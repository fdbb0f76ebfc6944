// The bounded set of connections to PostgreSQL; the only way through it is a read as one tenant.
import type { Clock } from "../../clock.ts";
import type { Log } from "../../observe/log.ts";
import { SourceError } from "../source_error.ts";
import { checkSettingName, quoteIdentifier } from "./quote_identifier.ts";
import { parseServerAddress } from "./server_address.ts";
import type { Answers, Statement } from "./statement.ts";
import { TenantConnection, type TenantConnectionOptions } from "./tenant_connection.ts";

export interface PostgresPoolOptions {
  readonly url: string;
  /** False behind a pooler that works by transaction; costs round trips. */
  readonly prepare: boolean;
  readonly maxConnections: number;
  /** What a read's transaction becomes; empty: it stays the login. */
  readonly role: string;
  readonly tenantSetting: string;
  readonly statementTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** PEM of the authorities that may vouch for the server. */
  readonly caCertificate?: string;
  readonly log: Log;
  readonly clock: Clock;
}

export interface ReadOptions {
  readonly signal: AbortSignal;
}

const TENANT_ID = /^[A-Za-z0-9_-]{1,64}$/;
/** A read that nobody waits for may keep its connection so long. */
const ABANDONED_ANSWER_MS = 1_000;
/** Lets memory on the server go, and finds a server that moved. */
const MAX_CONNECTION_AGE_MS = 30 * 60_000;

type Waiter = PromiseWithResolvers<TenantConnection>;

export class PostgresPool implements AsyncDisposable {
  readonly #maxConnections: number;
  readonly #connectionOptions: TenantConnectionOptions;
  readonly #life = new AbortController();
  /** Everything that holds a place on the server, until its socket is gone. */
  readonly #open = new Set<TenantConnection>();
  readonly #idle: TenantConnection[] = [];
  readonly #waiting: Waiter[] = [];
  readonly #comingAndGoing = new Set<Promise<void>>();
  #connecting = 0;

  /** Throws TypeError on a URL, role or setting that can't be meant. Connects when first read. */
  constructor(options: PostgresPoolOptions) {
    const { url, maxConnections, ...rest } = options;
    if (!Number.isInteger(maxConnections) || maxConnections < 1) {
      throw new TypeError(
        `Cannot bound the pool: maxConnections must be at least 1, current value is ${maxConnections}`,
      );
    }
    if (options.role !== "") quoteIdentifier(options.role);
    checkSettingName(options.tenantSetting);
    this.#maxConnections = maxConnections;
    this.#connectionOptions = { ...rest, address: parseServerAddress(url) };
  }

  /** Connections that are open or being opened. */
  get connectionCount(): number {
    return this.#open.size + this.#connecting;
  }

  /**
   * Runs the statements under the role and the tenant's policies, in one read-only transaction and one snapshot.
   * Resolves with one list of rows for each. Throws SourceError; an aborted signal rejects at once with its reason.
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

  /** Ends every connection; reads under way fail. In bounded time, and more than once without harm. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new SourceError("unavailable", "The PostgreSQL pool is closed");
    this.#life.abort(closed);
    this.#refuseWaiting(closed);
    this.#idle.length = 0;
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
    const age = this.#connectionOptions.clock.now() - connection.openedAt;
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
    while (
      this.#connecting < this.#waiting.length && this.connectionCount < this.#maxConnections
    ) {
      this.#connecting++;
      this.#track(this.#connect());
    }
  }

  async #connect(): Promise<void> {
    const { log } = this.#connectionOptions;
    let connection: TenantConnection;
    try {
      connection = await TenantConnection.open(this.#connectionOptions, this.#life.signal);
    } catch (error) {
      this.#connecting--;
      // With a connection left, those who wait get that one in turn; without, they all learn it now, instead of
      // each making an attempt of its own.
      if (this.#open.size === 0) this.#refuseWaiting(error);
      return;
    }
    this.#connecting--;
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

  #refuseWaiting(error: unknown): void {
    for (const waiter of this.#waiting.splice(0)) waiter.reject(error);
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#comingAndGoing.delete(tracked));
    this.#comingAndGoing.add(tracked);
  }
}
