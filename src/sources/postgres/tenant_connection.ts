// One connection to PostgreSQL that can do one thing: read as a tenant, in a transaction that it always ends itself.
// A connection that failed in any way is never used again.
import type postgres from "postgres";
import { SourceError } from "../source_error.ts";
import { quoteIdentifier } from "./quote_identifier.ts";
import { ServerConnection, type ServerConnectionOptions } from "./server_connection.ts";
import { type ReadStage, sqlStateOf, toSourceError } from "./source_fault.ts";
import type { Answers, Row, Statement, StatementParameter } from "./statement.ts";
import type { TenantIsolation } from "./tenant_isolation.ts";

export interface TenantConnectionOptions extends Omit<ServerConnectionOptions, "notified"> {
  /** Role of the transaction; empty: the login's own. */
  readonly role: string;
  readonly tenantSetting: string;
  readonly isolation: TenantIsolation;
  readonly statementTimeoutMs: number;
}

/** What the answer may take on top of the server's own limit before the connection counts as dead. */
const ANSWER_GRACE_MS = 1_000;
const ABORTED_TRANSACTION = "25P02";

export class TenantConnection {
  readonly #options: TenantConnectionOptions;
  readonly #server: ServerConnection;
  readonly #driver: postgres.Sql;
  readonly #opening: string;
  readonly openedAt: number;
  #isBusy = false;
  #isAbandoned = false;
  #deadline: { readonly timer: unknown; readonly at: number } | null = null;

  /**
   * Connects, logs in and has PostgreSQL show that it keeps tenants apart. Throws SourceError, `denied` when it does not;
   * an aborted signal rejects with the signal's reason.
   */
  static open(options: TenantConnectionOptions, signal: AbortSignal): Promise<TenantConnection> {
    return ServerConnection.open(options, {
      signal,
      begin: async (server) => {
        const connection = new TenantConnection(options, server);
        // By itself: of a login that is refused only the first query is told.
        await server.answerOf(server.driver.unsafe("SELECT 1"));
        await connection.#proveIsolation();
        return connection;
      },
    });
  }

  private constructor(options: TenantConnectionOptions, server: ServerConnection) {
    this.#options = options;
    this.#server = server;
    this.#driver = server.driver;
    this.openedAt = options.clock.monotonicNow();
    // A snapshot for each statement, so that the witness sees the policies of this instant and not of the beginning.
    this.#opening = openingOf("ISOLATION LEVEL READ COMMITTED READ ONLY", options);
  }

  /** Resolves with the cause once the connection is gone. */
  get gone(): Promise<Error> {
    return this.#server.gone;
  }

  get isUsable(): boolean {
    return this.#server.failure === null;
  }

  /** Whether it may serve those who wait: it lives, and its read, if it has one, is still waited for. */
  get isPromising(): boolean {
    return this.isUsable && !this.#isAbandoned;
  }

  /** What ended the connection: a SourceError when it was our own deadline. */
  get failure(): Error | null {
    return this.#server.failure;
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
      this.#isAbandoned = false;
    }
  }

  /** Nobody waits for the read under way any more: the connection is kept only if it answers within `ms`. */
  abandon(ms: number): void {
    this.#isAbandoned = this.#isBusy;
    if (this.#deadline !== null && this.#deadline.at > this.#options.clock.monotonicNow() + ms) {
      this.#expireIn(ms);
    }
  }

  /** Takes leave of the server, in a bounded time; a read under way fails at once. */
  close(): Promise<void> {
    if (this.#isBusy) this.#server.destroy();
    return this.#server.close();
  }

  async #transaction<const S extends readonly Statement[]>(
    tenantId: string,
    statements: S,
  ): Promise<Answers<S>> {
    const { tenantSetting, isolation } = this.#options;
    const naming = {
      text: "SELECT set_config($1, $2, true)",
      parameters: [tenantSetting, tenantId],
    };
    const witness = isolation.witness === null ? [] : [isolation.witness];
    let answers: Settled;
    try {
      answers = await this.#server.answerOf(
        this.#ask(this.#opening, [naming, ...statements, ...witness]),
      );
    } catch (error) {
      throw toSourceError(error, "read");
    }
    const [, ...rows] = this.#settle(answers, 2);
    try {
      if (isolation.witness !== null) isolation.judge(rows.pop() ?? []);
    } catch (error) {
      // The next connection asks again, and more thoroughly.
      this.#server.destroy(asError(error));
      throw error;
    }
    return rows as unknown as Answers<S>;
  }

  /**
   * Issued without waiting in between: once its statements are prepared, a transaction is one round trip. If one of them
   * fails, PostgreSQL refuses the rest, and the COMMIT is a ROLLBACK.
   */
  #ask(opening: string, statements: readonly Statement[]): Promise<Settled> {
    const { prepare } = this.#options;
    return Promise.allSettled([
      this.#driver.unsafe<Row[]>(opening),
      ...statements.map(({ text, parameters }) =>
        this.#driver.unsafe<Row[]>(text, parameters.map(encode), { prepare })
      ),
      this.#driver.unsafe<Row[]>("COMMIT"),
    ]);
  }

  /** Asks everything at once: a connection that is not known to keep tenants apart serves nobody. */
  async #proveIsolation(): Promise<void> {
    const { isolation, connectTimeoutMs } = this.#options;
    // Should they all run into it, there is time left to say so.
    const statementTimeoutMs = connectTimeoutMs / (isolation.probes.length + 1);
    const opening = openingOf("READ ONLY", { ...this.#options, statementTimeoutMs });
    // Where a policy shows nothing, a look at the whole table would be the planner's way to find that out.
    const probing = `${opening}; SET LOCAL enable_seqscan = off`;
    const inspection = isolation.inspection === null ? [] : [isolation.inspection];
    const [inspected, ...probed] = await this.#server.answerOf(Promise.all([
      this.#ask(opening, inspection),
      ...isolation.probes.map(({ statements }) => this.#ask(probing, statements)),
    ]));
    for (const rows of this.#settle(inspected, 1)) isolation.judge(rows);
    for (const [index, probe] of isolation.probes.entries()) {
      const [opened, ...looked] = probed[index]?.slice(0, -1) ?? [];
      if (opened?.status !== "fulfilled") throw toSourceError(opened?.reason, "enter");
      const failed = looked.find((answer) => answer.status === "rejected");
      const seen = looked.at(-1);
      isolation.judgeProbe(
        probe,
        failed !== undefined
          ? { error: failed.reason }
          : seen?.status === "fulfilled"
          ? seen.value
          : [],
      );
    }
  }

  /** The one place that decides how a transaction ended and whether the connection came out of it clean. */
  #settle(answers: Settled, entering: number): (readonly Row[])[] {
    const failures = answers.flatMap((answer, index) =>
      answer.status === "rejected" ? [{ error: answer.reason as unknown, index }] : []
    );
    const end = answers.at(-1);
    const command = end?.status === "fulfilled" ? end.value.command : null;
    const isClean = (command === "COMMIT" || command === "ROLLBACK") &&
      failures.every(({ error }) => sqlStateOf(error) !== null);
    // The others were refused because of it.
    const first = failures.find(({ error }) => sqlStateOf(error) !== ABORTED_TRANSACTION);
    if (first !== undefined) {
      const stage: ReadStage = first.index < entering ? "enter" : "read";
      if (!isClean) this.#server.destroy(asError(first.error));
      throw toSourceError(first.error, stage);
    }
    if (command !== "COMMIT") {
      // The driver repeats a statement whose plan became stale, but behind the COMMIT: outside of the transaction,
      // as nobody, where a table looks empty. Such an answer must not pass for one.
      const cause = new Error("The transaction was rolled back without an error of its own");
      this.#server.destroy(cause);
      throw toSourceError(cause, "read");
    }
    // Taken out and not copied: the driver's queries, and all they hold, stay until the old part of the heap is collected.
    return answers.slice(1, -1).map((answer) =>
      answer.status === "fulfilled" ? answer.value.splice(0) : []
    );
  }

  #expireIn(ms: number): void {
    const { clock } = this.#options;
    clock.clearTimeout(this.#deadline?.timer);
    const timer = clock.setTimeout(() =>
      this.#server.destroy(
        new SourceError("unavailable", `PostgreSQL did not answer a read in time (${ms} ms)`),
      ), ms);
    this.#deadline = { timer, at: clock.monotonicNow() + ms };
  }
}

type Settled = readonly PromiseSettledResult<postgres.RowList<Row[]>>[];

/** One message. SET LOCAL and not a start-up parameter: poolers refuse those. */
function openingOf(
  mode: "ISOLATION LEVEL READ COMMITTED READ ONLY" | "READ ONLY",
  { statementTimeoutMs, role }: Pick<TenantConnectionOptions, "statementTimeoutMs" | "role">,
): string {
  return `BEGIN ${mode}` +
    `; SET LOCAL statement_timeout = ${Math.ceil(statementTimeoutMs)}` +
    // What a column says without a zone would be the server's own.
    "; SET LOCAL timezone = 'UTC'" +
    (role === "" ? "" : `; SET LOCAL ROLE ${quoteIdentifier(role)}`);
}

function encode(parameter: StatementParameter): string | null {
  if (parameter === null || typeof parameter === "string") return parameter;
  if (typeof parameter === "number") return String(parameter);
  return `{${parameter.map((item) => `"${item.replaceAll(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
