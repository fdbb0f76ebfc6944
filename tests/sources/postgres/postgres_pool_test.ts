// Holds the pool to its promises: one round trip, a clean connection after anything, bounded waiting, honest errors.
import assert from "node:assert/strict";
import { guardProcess } from "../../../src/observe/guard_process.ts";
import type { PostgresPool } from "../../../src/sources/postgres/postgres_pool.ts";
import { SourceError, type SourceErrorKind } from "../../../src/sources/source_error.ts";
import type { TestPostgres } from "../../support/postgres.ts";
import { forever, openPool, postgresSuite, silentLog, until } from "./postgres_fixture.ts";
import { WireProxy } from "./wire_proxy.ts";

const setting = "SELECT current_setting('app.tenant_id', true) AS tenant, current_user AS role";

async function one(pool: PostgresPool, text: string, tenantId = "a", signal = forever().signal) {
  const [rows] = await pool.readAsTenant(tenantId, [{ text, parameters: [] }], { signal });
  return rows[0];
}

function isKind(kind: SourceErrorKind): (error: unknown) => boolean {
  return (error) => error instanceof SourceError && error.kind === kind;
}

async function backends(server: TestPostgres): Promise<number> {
  const [row] = await server.execute(
    "SELECT count(*)::int AS count FROM pg_stat_activity WHERE application_name = 'pulsewire'",
  );
  return Number(row?.count);
}

postgresSuite("A read as a tenant", {
  async "Names the tenant for one transaction only, on the same connection"(server) {
    await using pool = openPool(server, { maxConnections: 1 });
    assert.equal((await one(pool, setting, "tenant-a"))?.tenant, "tenant-a");
    assert.equal((await one(pool, setting, "tenant-b"))?.tenant, "tenant-b");
    assert.equal((await one(pool, setting))?.role, "pulse_app");
    assert.equal(pool.connectionCount, 1);
  },

  async "Gives each statement its rows, as PostgreSQL's own text"(server) {
    await using pool = openPool(server);
    const [values, none, echoed] = await pool.readAsTenant("a", [
      {
        text:
          `SELECT 9007199254740993::bigint AS big, 0.1::float8 AS float, true AS bool, NULL AS nothing,
                      '{"a": 1.50}'::jsonb AS json, '2026-01-01T00:00:00.000001Z'::timestamptz AT TIME ZONE 'UTC' AS at`,
        parameters: [],
      },
      { text: "SELECT 1 WHERE false", parameters: [] },
      {
        text:
          "SELECT $1::text AS a, $2::int AS b, $3::text AS c, array_to_json($4::text[])::text AS d",
        parameters: [`'; DROP TABLE telemetry; --`, 7, null, [`a"b\\c,{}`, "NULL", "", "ä"]],
      },
    ], forever());
    assert.deepEqual(values, [{
      big: "9007199254740993",
      float: "0.1",
      bool: "t",
      nothing: null,
      json: `{"a": 1.50}`,
      at: "2026-01-01 00:00:00.000001",
    }]);
    assert.deepEqual(none, []);
    assert.deepEqual(echoed, [{
      a: `'; DROP TABLE telemetry; --`,
      b: "7",
      c: null,
      d: JSON.stringify([`a"b\\c,{}`, "NULL", "", "ä"]),
    }]);
  },

  async "Can't write"(server) {
    await server.execute(
      "CREATE TABLE IF NOT EXISTS scratch (x int); GRANT ALL ON scratch TO pulse_app",
    );
    await using pool = openPool(server);
    await assert.rejects(one(pool, "INSERT INTO scratch VALUES (1)"), isKind("unavailable"));
    assert.equal((await server.execute("SELECT * FROM scratch")).length, 0);
  },

  async "Leaves the connection clean and in use when a statement fails"(server) {
    await using pool = openPool(server, { maxConnections: 1 });
    const before = await one(pool, "SELECT pg_backend_pid()::text AS pid");
    await assert.rejects(one(pool, "SELECT 1/0", "secret"), isKind("rejected"));
    await assert.rejects(one(pool, "SELEC 1", "secret"), isKind("rejected"));
    await assert.rejects(
      pool.readAsTenant("secret", [
        { text: "SELECT $1::int", parameters: ["not a number"] },
        { text: "SELECT 1", parameters: [] },
      ], forever()),
      isKind("rejected"),
    );
    assert.equal((await one(pool, setting, "tenant-b"))?.tenant, "tenant-b");
    assert.deepEqual(await one(pool, "SELECT pg_backend_pid()::text AS pid"), before);
  },

  async "Works without prepared statements, for poolers that work by transaction"(server) {
    await using pool = openPool(server, { prepare: false });
    for (const tenant of ["a", "b"]) {
      const [[echoed], [named]] = await pool.readAsTenant(tenant, [
        { text: "SELECT $1::text AS x", parameters: [`it's ${tenant}`] },
        { text: setting, parameters: [] },
      ], forever());
      assert.equal(echoed?.x, `it's ${tenant}`);
      assert.equal(named?.tenant, tenant);
    }
  },

  async "Stays the login when the role is empty"(server) {
    await using pool = openPool(server, { role: "", tables: [] });
    const row = await one(pool, setting, "a");
    assert.deepEqual(row, {
      tenant: "a",
      role: server.kind === "postgres" ? "pulsewire" : "postgres",
    });
  },

  async "Refuses a tenant id that is not one, and settings that can't be meant"(server) {
    await using pool = openPool(server);
    for (const bad of ["", "a b", "a'", "a\n", "x".repeat(65), "ä"]) {
      await assert.rejects(one(pool, setting, bad), TypeError, JSON.stringify(bad));
    }
    for (
      const tenantSetting of ["role", "search_path", "app.tenant'", "", "app.", "app tenant.id"]
    ) {
      assert.throws(() => openPool(server, { tenantSetting }), TypeError, tenantSetting);
    }
    assert.throws(() => openPool(server, { role: "x".repeat(64) }), TypeError);
    assert.throws(() => openPool(server, { maxConnections: 0 }), TypeError);
    assert.throws(() => openPool(server, { url: "mysql://a@b/c" }), TypeError);
  },

  async "Says whose fault a failure is"(server) {
    const kinds: readonly (readonly [SourceErrorKind, string])[] = [
      ["denied", "SELECT * FROM no_such_table"],
      ["denied", "SELECT * FROM no_such_schema.t"],
      ["denied", "SELECT * FROM pg_authid"],
      ["denied", "SELECT no_such_column FROM telemetry"],
      ["rejected", "SELECT 1::int / 0"],
    ];
    await using pool = openPool(server);
    for (const [kind, text] of kinds) await assert.rejects(one(pool, text), isKind(kind), text);
    await using noRole = openPool(server, { role: "no_such_role" });
    await assert.rejects(one(noRole, "SELECT 1"), isKind("denied"));
    await using nobody = openPool(server, { url: "postgres://x@127.0.0.1:1/x" });
    await assert.rejects(one(nobody, "SELECT 1"), isKind("unavailable"));
    assert.equal(nobody.connectionCount, 0);
  },

  async "Rejects at once with the signal's reason, and goes on with the next read"(server) {
    await using pool = openPool(server, { maxConnections: 1 });
    const reason = new Error("Enough");
    const isReason = (error: unknown) => error === reason;
    await assert.rejects(one(pool, "SELECT 1", "a", AbortSignal.abort(reason)), isReason);
    const controller = new AbortController();
    const pending = one(pool, setting, "gone", controller.signal);
    const queued = one(pool, setting, "queued", controller.signal);
    controller.abort(reason);
    await Promise.all([assert.rejects(pending, isReason), assert.rejects(queued, isReason)]);
    assert.equal((await one(pool, setting, "next"))?.tenant, "next");
  },

  async "Refuses reads once closed, however often it is closed"(server) {
    const pool = openPool(server);
    await one(pool, "SELECT 1");
    await pool[Symbol.asyncDispose]();
    await pool[Symbol.asyncDispose]();
    await assert.rejects(one(pool, "SELECT 1"), isKind("unavailable"));
    assert.equal(pool.connectionCount, 0);
  },
});

postgresSuite("The pool on a real server", {
  async "A read is one round trip once its statements are prepared"(server) {
    await using proxy = new WireProxy(server.port);
    await using pool = openPool(server, { maxConnections: 1, url: proxy.through(server.appUrl) });
    const statements = [
      { text: "SELECT $1::text AS a", parameters: ["x".repeat(3_000)] },
      { text: "SELECT $1::int AS b", parameters: [1] },
    ] as const;
    await pool.readAsTenant("a", statements, forever());
    for (let read = 1; read <= 5; read++) {
      const before = proxy.roundTrips;
      await pool.readAsTenant(`tenant-${read}`, statements, forever());
      assert.equal(proxy.roundTrips - before, 1);
    }
  },

  async "Leaves no prepared statement on the server when told not to prepare"(server) {
    for (const [prepare, count] of [[false, "0"], [true, "1"]] as const) {
      await using pool = openPool(server, { prepare, maxConnections: 1 });
      await one(pool, "SELECT 1");
      const text =
        "SELECT count(*)::text AS n FROM pg_prepared_statements WHERE statement ~ 'set_config.[$]'";
      assert.equal((await one(pool, text))?.n, count);
    }
  },

  async "Never opens more connections than it may, and keeps none when closed"(server) {
    const pool = openPool(server, { maxConnections: 3 });
    let most = 0;
    await Promise.all(Array.from({ length: 60 }, async (_, n) => {
      const row = await one(pool, `${setting}, pg_sleep(0.005)`, `tenant-${n}`);
      assert.equal(row?.tenant, `tenant-${n}`);
      most = Math.max(most, pool.connectionCount);
    }));
    assert.equal(most, 3);
    assert.equal(await backends(server), 3);
    await pool[Symbol.asyncDispose]();
    await until(async () => await backends(server) === 0, { what: "the server to be left alone" });
  },

  async "Wrong credentials and databases are denied, a full server is unavailable"(server) {
    const url = (change: (address: URL) => void) => {
      const address = new URL(server.appUrl);
      change(address);
      return address.href;
    };
    await using wrong = openPool(server, { url: url((address) => address.password = "wrong") });
    await assert.rejects(one(wrong, "SELECT 1"), isKind("denied"));
    await using unknown = openPool(server, {
      url: url((address) => address.pathname = "/nowhere"),
    });
    await assert.rejects(one(unknown, "SELECT 1"), isKind("denied"));
    await server.execute("ALTER ROLE pulsewire CONNECTION LIMIT 1");
    await using first = openPool(server, { maxConnections: 1 });
    await one(first, "SELECT 1");
    await using second = openPool(server, { maxConnections: 2 });
    await assert.rejects(one(second, "SELECT 1"), isKind("unavailable"));
    await server.execute("ALTER ROLE pulsewire CONNECTION LIMIT -1");
    await one(second, "SELECT 1");
  },

  async "Those who wait share a connection where the server gives only one"(server) {
    await server.execute("ALTER ROLE pulsewire CONNECTION LIMIT 1");
    await using pool = openPool(server, { maxConnections: 4 });
    await one(pool, "SELECT 1");
    const rows = await Promise.all(
      Array.from({ length: 12 }, (_, n) => one(pool, setting, `t${n}`)),
    );
    assert.deepEqual(rows.map((row) => row?.tenant), Array.from({ length: 12 }, (_, n) => `t${n}`));
    await server.execute("ALTER ROLE pulsewire CONNECTION LIMIT -1");
  },

  async "A server that gives one connection and no more is not asked for another with every read"(
    server,
  ) {
    await using proxy = new WireProxy(server.port);
    await server.execute("ALTER ROLE pulsewire CONNECTION LIMIT 1");
    await using pool = openPool(server, { maxConnections: 4, url: proxy.through(server.appUrl) });
    await one(pool, "SELECT 1");
    const busy = async (n: number) => {
      const row = await one(pool, `${setting}, pg_sleep(0.003)`, `t${n}`);
      assert.equal(row?.tenant, `t${n}`);
    };
    for (let round = 0; round < 20; round++) {
      await Promise.all(Array.from({ length: 10 }, (_, n) => busy(n)));
    }
    // One that works, three at once, and then one after 1/8, 1/4, 1/2 … s at the least.
    assert.ok(proxy.connections <= 1 + 3 + 6, `${proxy.connections} connections for 200 reads`);
    await server.execute("ALTER ROLE pulsewire CONNECTION LIMIT -1");
    await until(async () => {
      await Promise.all([1, 2, 3, 4].map(busy));
      return pool.connectionCount === 4;
    }, { what: "the rest of the connections" });
  },

  async "Reads that wait for a server without connections share an attempt"(server) {
    await using proxy = new WireProxy(server.port);
    await server.execute("ALTER ROLE pulsewire CONNECTION LIMIT 0");
    await using pool = openPool(server, { maxConnections: 8, url: proxy.through(server.appUrl) });
    const reads = Array.from({ length: 50 }, () =>
      assert.rejects(
        one(pool, "SELECT 1"),
        (error) => isKind("unavailable")(error) && /no connection left \(53300\)/.test(`${error}`),
      ));
    await Promise.all(reads);
    // The first read's own, and one for those that came after it had begun.
    assert.equal(proxy.connections, 2);
    await server.execute("ALTER ROLE pulsewire CONNECTION LIMIT -1");
    await one(pool, "SELECT 1");
  },

  async "The server ends a statement that takes too long, and the connection stays good"(server) {
    await using pool = openPool(server, { maxConnections: 1, statementTimeoutMs: 1_500 });
    const before = await one(pool, "SELECT pg_backend_pid()::text AS pid");
    await assert.rejects(one(pool, "SELECT pg_sleep(10)"), isKind("unavailable"));
    assert.deepEqual(await one(pool, "SELECT pg_backend_pid()::text AS pid"), before);
  },

  async "An abandoned read that goes on too long costs its connection, and never another read's answer"(
    server,
  ) {
    await using pool = openPool(server, { maxConnections: 1, statementTimeoutMs: 40_000 });
    const before = await one(pool, "SELECT pg_backend_pid()::text AS pid");
    const started = performance.now();
    await assert.rejects(one(pool, "SELECT pg_sleep(30)", "a", AbortSignal.timeout(50)), {
      name: "TimeoutError",
    });
    assert.equal((await one(pool, setting, "next"))?.tenant, "next");
    assert.ok(performance.now() - started < 25_000, "it waited for the statement to end");
    assert.notDeepEqual(await one(pool, "SELECT pg_backend_pid()::text AS pid"), before);
  },

  async "A wire that goes silent ends in an error at the deadline, and the next read is good"(
    server,
  ) {
    await using proxy = new WireProxy(server.port);
    const url = proxy.through(server.appUrl);
    await using pool = openPool(server, {
      url,
      statementTimeoutMs: 1_500,
      connectTimeoutMs: 1_500,
    });
    await Promise.all([one(pool, "SELECT 1"), one(pool, "SELECT 1")]);
    proxy.mode = "hang";
    await assert.rejects(one(pool, "SELECT 1"), isKind("unavailable"));
    await assert.rejects(one(pool, "SELECT 1"), isKind("unavailable"));
    proxy.mode = "forward";
    assert.equal((await one(pool, setting))?.tenant, "a");
  },

  async "Garbage on the wire is an error and not an answer"(server) {
    await using proxy = new WireProxy(server.port);
    const url = proxy.through(server.appUrl);
    await using pool = openPool(server, {
      url,
      maxConnections: 2,
      statementTimeoutMs: 1_500,
      connectTimeoutMs: 1_500,
    });
    for (let round = 0; round < 2; round++) {
      await one(pool, "SELECT 1");
      proxy.mode = "garbage";
      await assert.rejects(one(pool, setting), SourceError);
      proxy.mode = "forward";
    }
    assert.equal((await one(pool, setting))?.tenant, "a");
  },

  async "A login answered with nonsense is unavailable, and under guard it does not end the process"() {
    let faults = 0;
    using _guard = guardProcess({ log: silentLog, onFault: () => faults++ });
    using nonsense = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const answering = (async () => {
      const peer = await nonsense.accept();
      const buffer = new Uint8Array(1_024);
      await peer.read(buffer);
      // An "R" of kind 11, the middle of a SASL exchange that never began: the driver throws where nobody can catch.
      await peer.write(Uint8Array.of(82, 0, 0, 0, 8, 0, 0, 0, 11));
      while (await peer.read(buffer) !== null);
      peer.close();
    })();
    const url = `postgres://a:b@127.0.0.1:${nonsense.addr.port}/a`;
    await using pool = openPool({ appUrl: url }, { connectTimeoutMs: 1_500 });
    await assert.rejects(one(pool, "SELECT 1"), isKind("unavailable"));
    await answering;
    assert.equal(faults, 1);
  },

  async "A connection that was ended while it lay idle is no failed read"(server) {
    await using pool = openPool(server, { maxConnections: 2 });
    for (let round = 0; round < 10; round++) {
      await Promise.all([one(pool, "SELECT 1"), one(pool, "SELECT 1")]);
      await server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pulsewire'",
      );
      assert.equal((await one(pool, setting, "still"))?.tenant, "still");
    }
  },

  async "A plan that became stale is read again, and is never an empty answer"(server) {
    await server.execute(`
      CREATE TABLE changing (x int); INSERT INTO changing VALUES (1);
      GRANT SELECT ON changing TO pulse_app, pulsewire`);
    await using pool = openPool(server, { maxConnections: 1 });
    const read = async () => {
      const [rows] = await pool.readAsTenant("a", [
        {
          text:
            "SELECT *, current_setting('app.tenant_id', true) AS tenant FROM changing WHERE $1 = 1",
          parameters: [1],
        },
      ], forever());
      return rows[0];
    };
    assert.deepEqual(await read(), { x: "1", tenant: "a" });
    await server.execute("ALTER TABLE changing ALTER x TYPE text");
    assert.deepEqual(await read(), { x: "1", tenant: "a" });
  },
}, { real: true });
