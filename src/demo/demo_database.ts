// PostgreSQL inside this process: PGlite in memory with the schema of sql/, served on a loopback port. What comes through
// the port begins as a login without rights; only `write` and `vacuum`, in this process, act as the tables' owner.
import { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";

const SQL_FILES = ["01_schema.sql", "02_roles.sql", "03_policies.sql"];
const OWNER = "postgres";
const LOGIN = "pulsewire";
/** Places for the service's own connections, with room for a curious `psql`. */
const MAX_CONNECTIONS = 32;
/** Milliseconds after which a write looks again whether a reader's transaction is over. */
const RETRY_WRITE_MS = 2;

export class DemoDatabase implements AsyncDisposable {
  readonly #pglite: PGlite;
  readonly #server: PGLiteSocketServer;

  static async start(): Promise<DemoDatabase> {
    const pglite = await PGlite.create();
    try {
      for (const file of SQL_FILES) {
        await pglite.exec(await Deno.readTextFile(new URL(`../../sql/${file}`, import.meta.url)));
      }
      // All connections share PGlite's one session, so the session itself gives its rights away.
      await pglite.exec(`
        CREATE ROLE ${LOGIN} LOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS;
        GRANT pulse_app TO ${LOGIN};
        SET SESSION AUTHORIZATION ${LOGIN}`);
      const server = new PGLiteSocketServer({
        db: pglite,
        host: "127.0.0.1",
        port: 0,
        maxConnections: MAX_CONNECTIONS,
      });
      await server.start();
      return new DemoDatabase(pglite, server);
    } catch (error) {
      await pglite.close();
      throw error;
    }
  }

  private constructor(pglite: PGlite, server: PGLiteSocketServer) {
    this.#pglite = pglite;
    this.#server = server;
  }

  /** For a client; the password is not looked at. */
  get url(): string {
    return `postgres://${LOGIN}:demo@${this.#server.getServerConn()}/postgres`;
  }

  /** Runs statements as the owner: all of them or none. */
  write(statements: string): Promise<void> {
    // One message, so one implicit transaction, which takes a change of who acts back along with the rest.
    return this.#runBetweenTransactions(() =>
      this.#send(
        `SET SESSION AUTHORIZATION ${OWNER};\n${statements};\nSET SESSION AUTHORIZATION ${LOGIN}`,
      )
    );
  }

  /** Nothing else clears dead rows away: PGlite has no autovacuum. */
  vacuum(): Promise<void> {
    return this.#runBetweenTransactions(async () => {
      await this.#send(`SET SESSION AUTHORIZATION ${OWNER}`);
      try {
        await this.#send("VACUUM fleet_alert, telemetry");
      } finally {
        await this.#send(`SET SESSION AUTHORIZATION ${LOGIN}`);
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop();
    await this.#pglite.close();
  }

  /** A reader's transaction is several messages, and what runs in between runs inside of it. */
  async #runBetweenTransactions(act: () => Promise<void>): Promise<void> {
    for (;;) {
      const hasRun = await this.#pglite.runExclusive(async () => {
        if (this.#pglite.isInTransaction()) return false;
        await act();
        return true;
      });
      if (hasRun) return;
      await new Promise((resolve) => setTimeout(resolve, RETRY_WRITE_MS));
    }
  }

  /** The lock is held already, so PGlite's own `exec` would wait for itself. */
  async #send(text: string): Promise<void> {
    const body = new TextEncoder().encode(text);
    const message = new Uint8Array(body.length + 6);
    message[0] = "Q".charCodeAt(0);
    new DataView(message.buffer).setInt32(1, body.length + 5);
    message.set(body, 5);
    await this.#pglite.execProtocol(message);
  }
}
