// Proves that the policies alone keep tenants apart: every query here goes without a filter of its own.
import assert from "node:assert/strict";
import postgres from "postgres";
import { SourceError } from "../../../src/sources/source_error.ts";
import type { TestPostgres } from "../../support/postgres.ts";
import { forever, openPool, postgresSuite } from "./postgres_fixture.ts";

const everything = [
  { text: "SELECT tenant_id FROM fleet_alert ORDER BY 1", parameters: [] },
  { text: "SELECT tenant_id FROM telemetry ORDER BY 1", parameters: [] },
] as const;

async function fill(server: TestPostgres): Promise<void> {
  await server.execute(`
    TRUNCATE fleet_alert, telemetry;
    INSERT INTO fleet_alert (tenant_id) VALUES ('a'), ('b'), ('');
    INSERT INTO telemetry VALUES ('a', 'd', 's', now(), '{}'), ('b', 'd', 's', now(), '{}'), ('', 'd', 's', now(), '{}')`);
}

/** One connection of the app's login, with the statements as they are. */
async function asApp<T>(server: TestPostgres, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(server.appUrl, { max: 1, fetch_types: false, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function codeOf(code: string): (error: unknown) => boolean {
  return (error) => (error as { code?: unknown }).code === code;
}

postgresSuite("Row-level security", {
  async "A query without a filter sees the named tenant's rows and no others"(server) {
    await fill(server);
    await using pool = openPool(server);
    for (const tenant of ["a", "b"]) {
      const [alerts, samples] = await pool.readAsTenant(tenant, everything, forever());
      assert.deepEqual(alerts, [{ tenant_id: tenant }]);
      assert.deepEqual(samples, [{ tenant_id: tenant }]);
    }
    assert.deepEqual(await pool.readAsTenant("nobody", everything, forever()), [[], []]);
  },

  async "A setting that was never set sees nothing, and neither does the empty one, not even rows of tenant ''"(
    server,
  ) {
    await fill(server);
    await asApp(server, async (sql) => {
      const read = async (tenant: string | null) =>
        await sql.begin(async (tx) => {
          await tx`SET LOCAL ROLE pulse_app`;
          if (tenant !== null) await tx`SELECT set_config('app.tenant_id', ${tenant}, true)`;
          const [setting] = await tx`SELECT current_setting('app.tenant_id', true) AS value`;
          const alerts = await tx`SELECT * FROM fleet_alert`;
          const samples = await tx`SELECT * FROM telemetry`;
          return { setting: setting?.value, rows: alerts.length + samples.length };
        });
      if (server.kind === "postgres") {
        assert.deepEqual(await read(null), { setting: null, rows: 0 });
      }
      assert.deepEqual(await read("a"), { setting: "a", rows: 2 });
      assert.deepEqual(await read(null), { setting: "", rows: 0 });
      assert.deepEqual(await read(""), { setting: "", rows: 0 });
    });
  },

  async "A writer under the policies writes its own tenant's rows and is refused another's"(
    server,
  ) {
    await fill(server);
    await server.execute(`
      CREATE ROLE backend NOLOGIN;
      GRANT INSERT, SELECT ON fleet_alert, telemetry TO backend;
      GRANT USAGE ON SEQUENCE fleet_alert_id_seq TO backend`);
    const write = (setting: string, row: string) =>
      server.execute(`
        BEGIN; SET LOCAL ROLE backend; SELECT set_config('app.tenant_id', '${setting}', true);
        INSERT INTO fleet_alert (tenant_id) VALUES ('${row}');
        INSERT INTO telemetry VALUES ('${row}', 'w', 's', now(), '{}'); COMMIT`);
    await write("a", "a");
    await assert.rejects(write("a", "b"), codeOf("42501"));
    await assert.rejects(write("", ""), codeOf("42501"));
    const [count] = await server.execute(
      "SELECT string_agg(tenant_id, ',' ORDER BY tenant_id) AS tenants FROM fleet_alert",
    );
    assert.equal(count?.tenants, ",a,a,b");
  },

  async "What a policy raises of one tenant is that tenant's refusal and no outage of everybody's"(
    server,
  ) {
    await fill(server);
    await server.execute(`
      CREATE FUNCTION raising_tenant() RETURNS text STABLE LANGUAGE plpgsql AS $$
      BEGIN
        IF current_setting('app.tenant_id', true) = 'b' THEN RAISE EXCEPTION 'suspended'; END IF;
        RETURN NULLIF(current_setting('app.tenant_id', true), '');
      END $$;
      ALTER POLICY fleet_alert_tenant ON fleet_alert USING (tenant_id = raising_tenant())`);
    await using pool = openPool(server);
    await assert.rejects(
      pool.readAsTenant("b", everything, forever()),
      (error) => error instanceof SourceError && error.kind === "rejected",
    );
    const [alerts] = await pool.readAsTenant("a", everything, forever());
    assert.deepEqual(alerts, [{ tenant_id: "a" }]);
  },

  async "The SQL files can be run again and change nothing"(server) {
    await fill(server);
    const folder = new URL("../../../sql/", import.meta.url);
    const files = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assert.equal(files.length, 4);
    for (const file of files) {
      await server.execute(await Deno.readTextFile(new URL(file, folder)));
    }
    await using pool = openPool(server);
    const [alerts] = await pool.readAsTenant("a", everything, forever());
    assert.equal(alerts.length, 1);
  },
});

postgresSuite("The roles", {
  async "The login has no access before it becomes pulse_app"(server) {
    await fill(server);
    await asApp(server, async (sql) => {
      await assert.rejects(sql`SELECT * FROM fleet_alert`, codeOf("42501"));
      await assert.rejects(sql`SELECT * FROM telemetry`, codeOf("42501"));
    });
    await using pool = openPool(server, { role: "" });
    await assert.rejects(
      pool.readAsTenant("a", everything, forever()),
      (error) => error instanceof SourceError && error.kind === "denied",
    );
  },

  async "pulse_app may read the two tables and nothing else"(server) {
    await asApp(server, async (sql) => {
      await sql`SET ROLE pulse_app`;
      await assert.rejects(sql`INSERT INTO fleet_alert (tenant_id) VALUES ('a')`, codeOf("42501"));
      await assert.rejects(sql`UPDATE fleet_alert SET status = 'x'`, codeOf("42501"));
      await assert.rejects(sql`DELETE FROM telemetry`, codeOf("42501"));
      await assert.rejects(sql`CREATE TABLE mine (x int)`, codeOf("42501"));
      await assert.rejects(sql`SET ROLE postgres`, codeOf("42501"));
    });
  },

  async "The tables' owner is held to the policies as well"(server) {
    await fill(server);
    await server.execute(`
      CREATE ROLE table_owner NOLOGIN; GRANT CREATE, USAGE ON SCHEMA public TO table_owner;
      ALTER TABLE fleet_alert OWNER TO table_owner`);
    const rows = await server.execute("SET ROLE table_owner; SELECT * FROM fleet_alert");
    const last = (rows as unknown as readonly (readonly unknown[])[])[1];
    assert.deepEqual([...last ?? ["none"]], []);
  },
}, { real: true });
