// Takes away, one by one, what keeps tenants apart in the database: each time reads must be refused, and come back with it.
import assert from "node:assert/strict";
import { createAlertSource } from "../../../src/sources/postgres/alert_table_source.ts";
import type { PostgresPool } from "../../../src/sources/postgres/postgres_pool.ts";
import { SourceError } from "../../../src/sources/source_error.ts";
import type { TestPostgres } from "../../support/postgres.ts";
import { forever, openPool, postgresSuite, until } from "./postgres_fixture.ts";

/** Each lack as an operator would bring it about, how to mend it, and what the refusal must say. */
interface Lack {
  readonly breaks: string;
  readonly mends: string;
  readonly says: RegExp;
}

const setting = "current_setting('app.tenant_id', true)";
const policy = (using: string, rest = "") => `
  DROP POLICY IF EXISTS fleet_alert_tenant ON fleet_alert;
  CREATE POLICY fleet_alert_tenant ON fleet_alert ${rest} USING (${using})`;
const soundPolicy = policy(`tenant_id = (SELECT NULLIF(${setting}, ''))`);

const lacks: Readonly<Record<string, Lack>> = {
  "A role with BYPASSRLS": {
    breaks: "ALTER ROLE pulse_app BYPASSRLS",
    mends: "ALTER ROLE pulse_app NOBYPASSRLS",
    says: /role "pulse_app" has BYPASSRLS.*DATABASE_ROLE must name another/,
  },
  "A superuser's role": {
    breaks: "ALTER ROLE pulse_app SUPERUSER",
    mends: "ALTER ROLE pulse_app NOSUPERUSER",
    says: /role "pulse_app" is a superuser/,
  },
  "A table without row-level security": {
    breaks: "ALTER TABLE fleet_alert DISABLE ROW LEVEL SECURITY",
    mends: "ALTER TABLE fleet_alert ENABLE ROW LEVEL SECURITY",
    says: /fleet_alert.*row-level security is off; ALTER TABLE "fleet_alert" ENABLE/,
  },
  "A table whose owner is not held": {
    breaks: "ALTER TABLE fleet_alert NO FORCE ROW LEVEL SECURITY",
    mends: "ALTER TABLE fleet_alert FORCE ROW LEVEL SECURITY",
    says: /not forced; ALTER TABLE "fleet_alert" FORCE/,
  },
  "A table without a policy": {
    breaks: "DROP POLICY fleet_alert_tenant ON fleet_alert",
    mends: soundPolicy,
    says: /no policy lets role "pulse_app" read it; see sql\/03_policies.sql/,
  },
  "A policy for somebody else": {
    breaks: policy("true", "TO pg_monitor"),
    mends: soundPolicy,
    says: /no policy lets role "pulse_app" read it/,
  },
  "A policy for writers only": {
    breaks: policy("true", "FOR UPDATE"),
    mends: soundPolicy,
    says: /no policy lets role "pulse_app" read it/,
  },
  "A policy that shows everything": {
    breaks: policy("true"),
    mends: soundPolicy,
    says: /its policies show rows to a transaction that names no tenant/,
  },
  "A policy that shows rows to the tenant ''": {
    breaks: policy(`${setting} = ''`),
    mends: soundPolicy,
    // Where sessions are shared a setting that is no longer set reads ''.
    says: /its policies show rows to (the tenant ''|a transaction that names no tenant)/,
  },
  "A policy that shows rows to whatever tenant is named": {
    breaks: policy(`${setting} <> ''`),
    mends: soundPolicy,
    says: /its policies show rows to a tenant that can't exist/,
  },
  "A right to read that was taken away": {
    breaks: "REVOKE SELECT ON fleet_alert FROM pulse_app",
    mends: "GRANT SELECT ON fleet_alert TO pulse_app",
    says: /does not let the role read "fleet_alert" \(42501\); see sql\/02_roles.sql/,
  },
  "A table that is not there": {
    breaks: "ALTER TABLE fleet_alert RENAME TO elsewhere",
    mends: "ALTER TABLE elsewhere RENAME TO fleet_alert",
    says: /the table does not exist; see sql\/01_schema.sql/,
  },
};

async function fill(server: TestPostgres): Promise<void> {
  await server.execute(
    "TRUNCATE fleet_alert; INSERT INTO fleet_alert (tenant_id) VALUES ('a'), ('b'), ('')",
  );
}

async function tenantsSeen(pool: PostgresPool): Promise<readonly string[]> {
  const source = createAlertSource(pool, { table: "fleet_alert" });
  const alerts = await source.readOpen({ tenantId: "a", limit: 10, ...forever() });
  return alerts.map((alert) => alert.tenant_id);
}

function isDenied(says: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SourceError, String(error));
    assert.equal(error.kind, "denied", error.message);
    assert.match(error.message, says);
    return true;
  };
}

const tables = ["fleet_alert"];

postgresSuite(
  "A new connection reads nothing and says why",
  Object.fromEntries(
    Object.entries(lacks).map(([name, { breaks, mends, says }]) => [
      `${name} is refused, and accepted once it is mended`,
      async (server: TestPostgres) => {
        await fill(server);
        await server.execute(breaks);
        await using pool = openPool(server, { tables });
        await assert.rejects(tenantsSeen(pool), isDenied(says));
        await assert.rejects(pool.check(forever().signal), isDenied(says));
        assert.equal(pool.connectionCount, 0);
        await server.execute(mends);
        assert.deepEqual(await tenantsSeen(pool), ["a"]);
        await pool.check(forever().signal);
      },
    ]),
  ),
);

/** What a connection that is in use can notice by itself; the rest waits for the next connection. */
const noticed = [
  "A role with BYPASSRLS",
  "A superuser's role",
  "A table without row-level security",
  "A table whose owner is not held",
  "A table without a policy",
  "A policy for somebody else",
];

postgresSuite("A connection in use", {
  ...Object.fromEntries(
    noticed.map((name) => [
      `${name} is noticed by the very next read`,
      async (server: TestPostgres) => {
        const { breaks, mends, says } = lacks[name] as Lack;
        await fill(server);
        await using pool = openPool(server, { tables, maxConnections: 1 });
        for (let read = 0; read < 7; read++) assert.deepEqual(await tenantsSeen(pool), ["a"]);
        await server.execute(breaks);
        await assert.rejects(tenantsSeen(pool), isDenied(says));
        await assert.rejects(tenantsSeen(pool), isDenied(says));
        await server.execute(mends);
        assert.deepEqual(await tenantsSeen(pool), ["a"]);
      },
    ]),
  ),

  async "Which tables must hold tenants apart follows from what is read"(server) {
    await fill(server);
    await server.execute("ALTER TABLE telemetry DISABLE ROW LEVEL SECURITY");
    await using alerts = openPool(server, { tables });
    assert.deepEqual(await tenantsSeen(alerts), ["a"]);
    await using both = openPool(server, { tables: ["fleet_alert", "public.telemetry"] });
    await assert.rejects(tenantsSeen(both), isDenied(/"public"."telemetry": row-level security/));
    await server.execute("ALTER TABLE telemetry ENABLE ROW LEVEL SECURITY");
    assert.deepEqual(await tenantsSeen(both), ["a"]);
  },

  async "A policy that fails where no tenant is named shows nothing, and is as good"(server) {
    await fill(server);
    await server.execute("DELETE FROM fleet_alert WHERE tenant_id = ''");
    const strict = ["tenant_id = current_setting('app.tenant_id')"];
    const uuid = "9d0f1c7e-0b4f-4a53-8f35-0f2c6d4b9a11";
    strict.push(`CASE WHEN ${setting} = 'a' THEN tenant_id = 'a' ELSE
      ${setting}::uuid = '${uuid}' AND tenant_id = 'b' END`);
    await server.execute(`
      CREATE FUNCTION known_tenant() RETURNS text STABLE LANGUAGE plpgsql AS $$
      DECLARE known text;
      BEGIN
        SELECT name INTO STRICT known FROM (VALUES ('a'), ('b')) AS tenant (name) WHERE name = ${setting};
        RETURN known;
      END $$`);
    strict.push("tenant_id = known_tenant()");
    for (const using of strict) {
      await server.execute(policy(using));
      await using pool = openPool(server, { tables });
      assert.deepEqual(await tenantsSeen(pool), ["a"]);
    }
    await server.execute(`${soundPolicy}; DROP FUNCTION known_tenant`);
  },

  async "A view is refused as one, whatever policies the tables behind it have"(server) {
    await fill(server);
    await server.execute(`
      CREATE VIEW plant_alert AS SELECT * FROM fleet_alert; GRANT SELECT ON plant_alert TO pulse_app`);
    await using pool = openPool(server, { tables: ["plant_alert"] });
    await assert.rejects(pool.check(forever().signal), isDenied(/is no table, and only tables/));
    await server.execute("DROP VIEW plant_alert");
  },

  async "A table's name with quotes and backslashes is the table that is checked"(server) {
    const name = `od"d'\\_`;
    const quoted = `"od""d'\\_"`;
    await server.execute(`
      CREATE TABLE ${quoted} (tenant_id text); GRANT SELECT ON ${quoted} TO pulse_app`);
    await using pool = openPool(server, { tables: [name] });
    await assert.rejects(pool.check(forever().signal), isDenied(/row-level security is off/));
    await server.execute(`
      ALTER TABLE ${quoted} ENABLE ROW LEVEL SECURITY; ALTER TABLE ${quoted} FORCE ROW LEVEL SECURITY;
      CREATE POLICY p ON ${quoted} USING (tenant_id = NULLIF(${setting}, ''))`);
    await pool.check(forever().signal);
  },
});

postgresSuite("On a server of its own", {
  async "A login that is a superuser and becomes nobody else is refused"(server) {
    await using pool = openPool(server, { tables, url: server.adminUrl, role: "" });
    await assert.rejects(tenantsSeen(pool), isDenied(/role "postgres" is a superuser/));
  },

  async "A role that is missing, or that the login may not become, is named as the setting"(
    server,
  ) {
    await using missing = openPool(server, { tables, role: "no_such_role" });
    await assert.rejects(tenantsSeen(missing), isDenied(/no role of DATABASE_ROLE's name/));
    await using strange = openPool(server, { tables, role: "pg_monitor" });
    await assert.rejects(tenantsSeen(strange), isDenied(/let the login become DATABASE_ROLE/));
  },

  async "A tenant that the login brings along by default is refused"(server) {
    await fill(server);
    await server.execute("ALTER ROLE pulsewire SET app.tenant_id = 'b'");
    await using pool = openPool(server, { tables });
    const says = /its policies show rows to a transaction that names no tenant/;
    await assert.rejects(tenantsSeen(pool), isDenied(says));
    await server.execute("ALTER ROLE pulsewire RESET app.tenant_id");
    assert.deepEqual(await tenantsSeen(pool), ["a"]);
  },

  async "Finding out that nothing is shown does not walk the whole table"(server) {
    await server.execute(`
      INSERT INTO telemetry
        SELECT 't' || n % 3, 'd', 's', now() - n * interval '1 second', '{}' FROM generate_series(1, 20000) AS n;
      ANALYZE telemetry`);
    const scans = async () => {
      const [row] = await server.execute(
        "SELECT seq_scan::int AS whole, idx_scan::int AS steps FROM pg_stat_user_tables WHERE relname = 'telemetry'",
      );
      return { whole: Number(row?.whole), steps: Number(row?.steps) };
    };
    const before = await scans();
    {
      await using pool = openPool(server, { tables: ["telemetry"] });
      await pool.check(forever().signal);
    }
    // A backend's counts are told when it ends.
    await until(async () => (await scans()).steps > before.steps, { what: "the counts" });
    assert.equal((await scans()).whole, before.whole);
  },

  async "A table that is locked is not yet known to be safe, and says so instead of hanging"(
    server,
  ) {
    await using pool = openPool(server, { tables, connectTimeoutMs: 400 });
    const locked = server.execute(
      "BEGIN; LOCK TABLE fleet_alert; SELECT pg_sleep(1.2); COMMIT",
    );
    try {
      for (;;) {
        const [row] = await server.execute(
          "SELECT count(*)::int AS held FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'fleet_alert'::regclass",
        );
        if (row?.held === 1) break;
      }
      await assert.rejects(
        tenantsSeen(pool),
        (error) =>
          error instanceof SourceError && error.kind === "unavailable" &&
          /Cannot check in time who sees rows of "fleet_alert"/.test(error.message),
      );
    } finally {
      await locked;
    }
    assert.ok(Array.isArray(await tenantsSeen(pool)));
  },
}, { real: true });
