// Reads tables of alerts that the platform made otherwise than sql/ does: what can be told is told right, and what can't
// is refused.
import assert from "node:assert/strict";
import { systemClock } from "../../../src/clock.ts";
import { createAlertSource } from "../../../src/sources/postgres/alert_table_source.ts";
import type { AlertStatus } from "../../../src/sources/alert_source.ts";
import { createTelemetryTableSource } from "../../../src/sources/postgres/telemetry_table_source.ts";
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

postgresSuite("Tables whose instants have no zone", {
  async "They are UTC, wherever the server thinks it is"(server) {
    await server.execute("ALTER ROLE pulsewire SET timezone = 'Asia/Kolkata'");
    await make(server, {
      columns: { created_at: "timestamp", closed_at: "timestamp" },
      rows: `(id, created_at, closed_at) VALUES
        (1, '2026-11-18 11:06:42.123456', NULL), (2, '2026-11-18 11:00', '2026-11-18 11:06:43')`,
    });
    const { pool, source } = open(server);
    await using _ = pool;
    const { open: [alert], changed } = await source.readState({
      ...ASKED,
      changedSince: "2026-11-18T11:06:42.000000000Z",
      changedLimit: 10,
      isCounted: false,
    });
    assert.equal(alert?.created_at, "2026-11-18T11:06:42.123456Z");
    assert.deepEqual(changed.map(({ closedAt }) => closedAt), [
      null,
      "2026-11-18T11:06:43.000000Z",
    ]);

    await server.execute(`
      ALTER TABLE telemetry ALTER time TYPE timestamp;
      INSERT INTO telemetry VALUES ('acme', 'dev-1', NULL, '2026-11-18 11:06:42', '{"temp_c": 22}')`);
    await using telemetryPool = openPool(server, { tables: ["telemetry"] });
    const telemetry = createTelemetryTableSource(telemetryPool, {
      table: "telemetry",
      lookbackMs: 60_000,
      futureMs: 0,
      metadataKeys: [],
      clock: { ...systemClock, now: () => Date.UTC(2026, 10, 18, 11, 7) },
    });
    const { samples } = await telemetry.readLatest({
      tenantId: "acme",
      deviceIds: ["dev-1"],
      ...forever(),
    });
    assert.equal(samples.get("dev-1")?.timestamp, "2026-11-18T11:06:42.000000000Z");
  },
}, { real: true });
