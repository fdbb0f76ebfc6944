// Reads tables of alerts that the platform made otherwise than sql/ does: what can be told is told right, and what can't
// is refused.
import assert from "node:assert/strict";
import { createAlertSource } from "../../../src/sources/postgres/alert_table_source.ts";
import type { AlertStatus } from "../../../src/sources/alert_source.ts";
import { SourceError } from "../../../src/sources/source_error.ts";
import type { TestPostgres } from "../../support/postgres.ts";
import { forever, openPool, postgresSuite } from "./postgres_fixture.ts";

/** Makes the table anew with other types for some columns, and rows of the tenant "acme" in it. */
async function make(
  server: TestPostgres,
  { columns, rows }: { readonly columns: Readonly<Record<string, string>>; readonly rows: string },
): Promise<void> {
  const types = {
    id: "bigint",
    created_at: "timestamptz DEFAULT '2026-11-18T11:06:42.123456Z'",
    closed_at: "timestamptz",
    tenant_id: "text DEFAULT 'acme'",
    site_id: "text",
    device_id: "text",
    alert_type: "text",
    status: "text DEFAULT 'OPEN'",
    severity: "int",
    confidence: "real",
    summary: "text",
    ...columns,
  };
  await server.execute(`
    DROP TABLE IF EXISTS "Plant alerts";
    CREATE TABLE "Plant alerts" (${
    Object.entries(types).map((column) => column.join(" ")).join(", ")
  });
    GRANT SELECT ON "Plant alerts" TO pulse_app;
    ALTER TABLE "Plant alerts" ENABLE ROW LEVEL SECURITY;
    ALTER TABLE "Plant alerts" FORCE ROW LEVEL SECURITY;
    CREATE POLICY tenants ON "Plant alerts"
      USING (tenant_id = (SELECT NULLIF(current_setting('app.tenant_id', true), '')));
    INSERT INTO "Plant alerts" ${rows}`);
}

function open(server: TestPostgres) {
  const pool = openPool(server, { tables: ["Plant alerts"] });
  return { pool, source: createAlertSource(pool, { table: "Plant alerts" }) };
}

const ASKED = { tenantId: "acme", limit: 10, ...forever() };

postgresSuite("Tables of alerts that others made", {
  async "An id that alert_id can't say is refused, and never rounded or left out"(server) {
    const strange = {
      uuid: "'9d0f1c7e-0b4f-4a53-8f35-0f2c6d4b9a11'",
      text: "''",
      numeric: "1.5",
      bigint: "9007199254740993",
      int: "NULL",
    };
    for (const [type, id] of Object.entries(strange)) {
      await make(server, { columns: { id: type }, rows: `(id) VALUES (${id})` });
      const { pool, source } = open(server);
      await using _ = pool;
      const reads = [
        () => source.readOpen(ASKED),
        () => source.readState({ ...ASKED, changedSince: null, changedLimit: 1, isCounted: false }),
        () => source.readAlerts({ ...ASKED, status: "ALL" }),
      ];
      for (const read of reads) {
        await assert.rejects(
          read(),
          (error) => error instanceof SourceError && error.kind === "rejected",
          type,
        );
      }
      assert.deepEqual(await source.readAlerts({ ...ASKED, status: "CLOSED" }), []);
    }
    await make(server, { columns: { id: "numeric" }, rows: "(id) VALUES (9007199254740991)" });
    const { pool, source } = open(server);
    await using _ = pool;
    assert.equal((await source.readOpen(ASKED))[0]?.alert_id, Number.MAX_SAFE_INTEGER);
  },

  async "An alert without a status is none of those that are open, and one of the others"(server) {
    await make(server, { columns: {}, rows: "(id, status) VALUES (1, NULL), (2, 'OPEN')" });
    const { pool, source } = open(server);
    await using _ = pool;
    const read = async (status: AlertStatus) =>
      (await source.readAlerts({ ...ASKED, status })).map(({ alert_id }) => alert_id);
    assert.deepEqual(await read("OPEN"), [2]);
    assert.deepEqual(await read("CLOSED"), [1]);
    assert.deepEqual(await read("ALL"), [2, 1]);
  },
});
