// One connection to PostgreSQL that can do one thing: read as a tenant, in a transaction that it always ends itself.
// The only file that knows npm:postgres. A connection that failed in any way is never used again.
import postgres from "postgres";
import type { Clock } from "../../clock.ts";
import type { Log } from "../../observe/log.ts";
import { SourceError } from "../source_error.ts";
import { GuardedSocket } from "./guarded_socket.ts";
import { quoteIdentifier } from "./quote_identifier.ts";
import type { ServerAddress } from "./server_address.ts";
import { type ReadStage, sqlStateOf, toSourceError } from "./source_fault.ts";
import type { Answers, Row, Statement, StatementParameter } from "./statement.ts";

export interface TenantConnectionOptions {
  readonly address: ServerAddress;
  readonly caCertificate?: string;
  readonly prepare: boolean;
  /** Role of the transaction; empty: the login's own. */
  readonly role: string;
  readonly tenantSetting: string;
  readonly statementTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly log: Log;
  readonly clock: Clock;
}

/** What the answer may take on top of the server's own limit before the connection counts as dead. */
const ANSWER_GRACE_MS = 1_000;
/** The server is given so long to take its leave. */
const CLOSE_TIMEOUT_MS = 500;

// Everything arrives as PostgreSQL wrote it: bool, bytea, int2, int4, oid, json, float4, float8, date, timestamps, jsonb.
const VERBATIM = {
  to: 25,
  from: [16, 17, 21, 23, 26, 114, 700, 701, 1082, 1114, 1184, 3802],
  serialize: (value: string) => value,
  parse: (value: string) => value,
};

export class TenantConnection {
  readonly #options: TenantConnectionOptions;
  readonly #socket: GuardedSocket;
  readonly #driver: postgres.Sql;
  readonly #opening: string;
  readonly openedAt: number;
  #isBusy = false;
  #deadline: { readonly timer: unknown; readonly at: number } | null = null;

  /** Connects and logs in. Throws SourceError; an aborted signal rejects with the signal's reason. */
  static async open(
    options: TenantConnectionOptions,
    signal: AbortSignal,
  ): Promise<TenantConnection> {
    const expiry = new AbortController();
    const timer = options.clock.setTimeout(() =>
      expiry.abort(
        new SourceError(
          "unavailable",
          `PostgreSQL did not take a connection within ${options.connectTimeoutMs} ms`,
        ),
      ), options.connectTimeoutMs);
    const either = AbortSignal.any([signal, expiry.signal]);
    let socket: GuardedSocket | null = null;
    const drop = () => socket?.destroy(either.reason);
    either.addEventListener("abort", drop, { once: true });
    try {
      const { address, caCertificate } = options;
      socket = await GuardedSocket.connect({
        address,
        ...(caCertificate === undefined ? {} : { caCertificate }),
        signal: either,
      });
      const connection = new TenantConnection(options, socket);
      await connection.#answerOf(connection.#driver.unsafe("SELECT 1"));
      return connection;
    } catch (error) {
      socket?.destroy();
      throw either.aborted ? either.reason : toSourceError(error, "connect");
    } finally {
      either.removeEventListener("abort", drop);
      options.clock.clearTimeout(timer);
    }
  }

  private constructor(options: TenantConnectionOptions, socket: GuardedSocket) {
    this.#options = options;
    this.#socket = socket;
    this.#driver = driverOn(socket, options);
    this.openedAt = options.clock.now();
    // One message. SET LOCAL and not a start-up parameter: poolers refuse those. One snapshot for all statements.
    this.#opening = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" +
      `; SET LOCAL statement_timeout = ${Math.ceil(options.statementTimeoutMs)}` +
      (options.role === "" ? "" : `; SET LOCAL ROLE ${quoteIdentifier(options.role)}`);
  }

  /** Resolves with the cause once the connection is gone. */
  get gone(): Promise<Error> {
    return this.#socket.gone;
  }

  get isUsable(): boolean {
    return this.#socket.failure === null;
  }

  /** What ended the connection: a SourceError when it was our own deadline. */
  get failure(): Error | null {
    return this.#socket.failure;
  }

  /**
   * Runs the statements in one transaction that has become the role and named the tenant. One read at a time. Whatever
   * happens, the transaction is over when this settles, or the connection is unusable. Throws SourceError.
   */
  async read<const S extends readonly Statement[]>(
    tenantId: string,
    statements: S,
  ): Promise<Answers<S>> {
    if (this.#isBusy) throw new Error("Cannot read: the connection is in a read already");
    this.#isBusy = true;
    this.#expireIn(this.#options.statementTimeoutMs + ANSWER_GRACE_MS);
    try {
      return await this.#transaction(tenantId, statements);
    } finally {
      this.#options.clock.clearTimeout(this.#deadline?.timer);
      this.#deadline = null;
      this.#isBusy = false;
    }
  }

  /** Nobody waits for the read under way any more: the connection is kept only if it answers within `ms`. */
  abandon(ms: number): void {
    if (this.#deadline !== null && this.#deadline.at > this.#options.clock.now() + ms) {
      this.#expireIn(ms);
    }
  }

  /** Takes leave of the server, in a bounded time; a read under way fails at once. */
  async close(): Promise<void> {
    if (this.#isBusy) this.#socket.destroy();
    this.#socket.end(TERMINATE);
    const { clock } = this.#options;
    const timer = clock.setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS);
    await this.#socket.gone;
    clock.clearTimeout(timer);
  }

  async #transaction<const S extends readonly Statement[]>(
    tenantId: string,
    statements: S,
  ): Promise<Answers<S>> {
    const { tenantSetting, prepare } = this.#options;
    const ask = (statement: Statement) =>
      this.#driver.unsafe<Row[]>(statement.text, statement.parameters.map(encode), { prepare });
    // Issued without waiting in between: once its statements are prepared, a read is one round trip. If one of them
    // fails, PostgreSQL refuses the rest, and the COMMIT is a ROLLBACK.
    const asked = [
      this.#driver.unsafe<Row[]>(this.#opening),
      ask({ text: "SELECT set_config($1, $2, true)", parameters: [tenantSetting, tenantId] }),
      ...statements.map(ask),
      this.#driver.unsafe<Row[]>("COMMIT"),
    ];
    let answers: PromiseSettledResult<postgres.RowList<Row[]>>[];
    try {
      answers = await this.#answerOf(Promise.allSettled(asked));
    } catch (error) {
      throw toSourceError(error, "read");
    }
    return this.#settle(answers) as unknown as Answers<S>;
  }

  /** The one place that decides how a transaction ended and whether the connection came out of it clean. */
  #settle(
    answers: readonly PromiseSettledResult<postgres.RowList<Row[]>>[],
  ): readonly (readonly Row[])[] {
    const failures = answers.flatMap((answer, index) =>
      answer.status === "rejected" ? [{ error: answer.reason as unknown, index }] : []
    );
    const end = answers.at(-1);
    const command = end?.status === "fulfilled" ? end.value.command : null;
    const isClean = (command === "COMMIT" || command === "ROLLBACK") &&
      failures.every(({ error }) => sqlStateOf(error) !== null);
    const [first] = failures;
    if (first !== undefined) {
      const stage: ReadStage = first.index < 2 ? "enter" : "read";
      if (!isClean) this.#socket.destroy(asError(first.error));
      throw toSourceError(first.error, stage);
    }
    if (command !== "COMMIT") {
      // The driver repeats a statement whose plan became stale, but behind the COMMIT: outside of the transaction,
      // as nobody, where a table looks empty. Such an answer must not pass for one.
      const cause = new Error("The transaction was rolled back without an error of its own");
      this.#socket.destroy(cause);
      throw toSourceError(cause, "read");
    }
    return answers.slice(2, -1).map((answer) =>
      answer.status === "fulfilled" ? Array.from(answer.value) : []
    );
  }

  /** The driver leaves some of its promises pending when a connection dies; nobody may wait on it alone. */
  #answerOf<T>(answer: PromiseLike<T>): Promise<T> {
    const lost = Promise.withResolvers<never>();
    const fail = () => lost.reject(this.#socket.failure);
    this.#socket.once("error", fail);
    if (this.#socket.failure !== null) fail();
    return Promise.race([answer, lost.promise]).finally(() => this.#socket.off("error", fail));
  }

  #expireIn(ms: number): void {
    const { clock } = this.#options;
    clock.clearTimeout(this.#deadline?.timer);
    const timer = clock.setTimeout(() =>
      this.#socket.destroy(
        new SourceError("unavailable", `PostgreSQL did not answer a read in time (${ms} ms)`),
      ), ms);
    this.#deadline = { timer, at: clock.now() + ms };
  }
}

const TERMINATE = new Uint8Array([88, 0, 0, 0, 4]); // "X", length 4

function driverOn(socket: GuardedSocket, options: TenantConnectionOptions): postgres.Sql {
  const { address, prepare, log } = options;
  // Every option is given, so that the driver asks the environment for none of them. Its timers are off and its
  // reconnecting never starts: a driver lives and dies with the one socket that it is handed.
  const driverOptions = {
    host: address.host,
    port: address.port,
    user: address.user,
    pass: () => address.password,
    database: address.database,
    connection: { application_name: address.applicationName },
    max: 1,
    prepare,
    ssl: false,
    sslnegotiation: null,
    socket: () => socket,
    idle_timeout: 0,
    connect_timeout: 0,
    max_lifetime: 0,
    max_pipeline: 100,
    backoff: () => 0.25,
    keep_alive: 0,
    debug: false,
    fetch_types: false,
    no_subscribe: true,
    publications: "",
    target_session_attrs: undefined,
    types: { verbatim: VERBATIM },
    onnotice: (notice: { readonly code?: string }) =>
      log.debug("postgres_notice", { code: notice.code }),
  };
  return postgres(driverOptions as unknown as postgres.Options<Record<string, never>>);
}

function encode(parameter: StatementParameter): string | null {
  if (parameter === null || typeof parameter === "string") return parameter;
  if (typeof parameter === "number") return String(parameter);
  return `{${parameter.map((item) => `"${item.replaceAll(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
