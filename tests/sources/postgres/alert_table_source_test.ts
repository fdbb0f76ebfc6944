// Holds the alert source to the wire's shape, on a real table; the policies have a test of their own.
import assert from "node:assert/strict";
import { createAlertSource } from "../../../src/sources/postgres/alert_table_source.ts";
import type { AlertStatus } from "../../../src/sources/alert_source.ts";
import { SourceError } from "../../../src/sources/source_error.ts";
import type { TestPostgres } from "../../support/postgres.ts";
import { forever, openPool, postgresSuite } from "./postgres_fixture.ts";

interface AlertRow {
  readonly tenant: string;
  readonly createdAt?: string;
  readonly closedAt?: string | null;
  readonly status?: string;
  readonly summary?: string;
  readonly confidence?: string;
}

async function insert(server: TestPostgres, row: AlertRow): Promise<number> {
  const [inserted] = await server.execute(
    `INSERT INTO fleet_alert (tenant_id, created_at, closed_at, status, summary, confidence, severity,
                              site_id, device_id, alert_type, fingerprint, details)
     VALUES ($1::text, $2::text::timestamptz, $3::text::timestamptz, $4::text, $5::text, $6::text::real, 3,
             'plant-a', 'dev-1', 'overheat', 'f', '{"x":1}')
     RETURNING id::int AS id`,
    [
      row.tenant,
      row.createdAt ?? "2026-11-18T11:06:42.123456Z",
      row.closedAt ?? null,
      row.status ?? "OPEN",
      row.summary ?? "Too hot",
      row.confidence ?? "0.9",
    ],
  );
  return Number(inserted?.id);
}

async function readOpen(server: TestPostgres, tenantId: string, limit = 100) {
  await using pool = openPool(server);
  return await createAlertSource(pool, { table: "fleet_alert" })
    .readOpen({ tenantId, limit, ...forever() });
}

postgresSuite("Open alerts", {
  async "An alert has the wire's fields, in its order, with numbers as numbers"(server) {
    const id = await insert(server, { tenant: "shape", summary: `It's "hot" 温度` });
    const alerts = await readOpen(server, "shape");
    assert.equal(
      JSON.stringify(alerts),
      JSON.stringify([{
        alert_id: id,
        tenant_id: "shape",
        device_id: "dev-1",
        site_id: "plant-a",
        alert_type: "overheat",
        severity: 3,
        confidence: 0.9,
        summary: `It's "hot" 温度`,
        status: "OPEN",
        created_at: "2026-11-18T11:06:42.123456Z",
      }]),
    );
  },

  async "Columns without a value are null, and so is a confidence that JSON can't say"(server) {
    await server.execute("INSERT INTO fleet_alert (tenant_id) VALUES ('nulls')");
    await insert(server, { tenant: "nulls", confidence: "NaN", createdAt: "2020-01-01T00:00:00Z" });
    const [bare, odd] = await readOpen(server, "nulls");
    assert.deepEqual(
      [
        bare?.device_id,
        bare?.site_id,
        bare?.alert_type,
        bare?.severity,
        bare?.confidence,
        bare?.summary,
      ],
      [null, null, null, null, null, null],
    );
    assert.equal(odd?.confidence, null);
  },

  async "Alerts come newest first, and by their number where they are of one instant"(server) {
    const tenant = "order";
    const middle = await insert(server, { tenant, createdAt: "2026-01-01T00:00:00.000001Z" });
    const old = await insert(server, { tenant, createdAt: "2026-01-01T00:00:00Z" });
    const new1 = await insert(server, { tenant, createdAt: "2026-01-01T02:00:00+01:00" });
    const new2 = await insert(server, { tenant, createdAt: "2026-01-01T01:00:00Z" });
    const alerts = await readOpen(server, tenant);
    assert.deepEqual(alerts.map((alert) => alert.alert_id), [new2, new1, middle, old]);
    assert.equal(alerts[1]?.created_at, "2026-01-01T01:00:00.000000Z");
  },

  async "The limit keeps the newest"(server) {
    for (let minute = 0; minute < 5; minute++) {
      await insert(server, { tenant: "limit", createdAt: `2026-01-01T00:0${minute}:00Z` });
    }
    const alerts = await readOpen(server, "limit", 2);
    assert.deepEqual(alerts.map((alert) => alert.created_at.slice(14, 16)), ["04", "03"]);
  },

  async "An alert that is closed, by its status or by its instant, is not open"(server) {
    const tenant = "closed";
    await insert(server, { tenant, status: "CLOSED" });
    await insert(server, { tenant, closedAt: "2026-11-18T12:00:00Z" });
    await insert(server, { tenant, status: "CLOSED", closedAt: "2026-11-18T12:00:00Z" });
    await insert(server, { tenant, createdAt: "infinity" });
    assert.deepEqual(await readOpen(server, tenant), []);
  },

  async "Alerts of a status: open ones, all others, and both, newest first and limited"(server) {
    const tenant = "status";
    const at = (minute: number) => `2026-01-01T00:0${minute}:00Z`;
    const open = await insert(server, { tenant, createdAt: at(1) });
    const closed = await insert(server, { tenant, createdAt: at(2), status: "CLOSED" });
    const left = await insert(server, { tenant, createdAt: at(3), closedAt: at(4) });
    const newest = await insert(server, { tenant, createdAt: at(5) });
    await insert(server, { tenant, createdAt: "-infinity", status: "CLOSED" });
    await insert(server, { tenant: "status-b", createdAt: at(6) });
    await using pool = openPool(server);
    const source = createAlertSource(pool, { table: "fleet_alert" });
    const read = async (status: AlertStatus, limit = 100) =>
      (await source.readAlerts({ tenantId: tenant, status, limit, ...forever() }))
        .map((alert) => alert.alert_id);
    assert.deepEqual(await read("OPEN"), [newest, open]);
    assert.deepEqual(await read("CLOSED"), [left, closed]);
    assert.deepEqual(await read("ALL"), [newest, left, closed, open]);
    assert.deepEqual(await read("ALL", 2), [newest, left]);
    const opened = await source.readOpen({ tenantId: tenant, limit: 100, ...forever() });
    assert.deepEqual(opened.map((alert) => alert.alert_id), [newest, open]);
  },

  async "Tenants see their own alerts only"(server) {
    const mine = await insert(server, { tenant: "tenant-a" });
    const theirs = await insert(server, { tenant: "tenant-b" });
    assert.deepEqual((await readOpen(server, "tenant-a")).map((alert) => alert.alert_id), [mine]);
    assert.deepEqual((await readOpen(server, "tenant-b")).map((alert) => alert.alert_id), [theirs]);
    assert.deepEqual(await readOpen(server, "tenant-c"), []);
  },

  async "A tenant id that is not one never reaches the database"(server) {
    await insert(server, { tenant: "' OR true --" });
    for (const bad of ["' OR true --", "", "a b", "x".repeat(65), "a\n", "ä", "%"]) {
      await assert.rejects(readOpen(server, bad), TypeError, JSON.stringify(bad));
    }
  },

  async "The table may be named with its schema, and a name can't break out of the query"(server) {
    await insert(server, { tenant: "named" });
    await using pool = openPool(server);
    const named = createAlertSource(pool, { table: "public.fleet_alert" });
    assert.equal((await named.readOpen({ tenantId: "named", limit: 9, ...forever() })).length, 1);
    const odd = createAlertSource(pool, { table: `fleet_alert" WHERE true --` });
    await assert.rejects(
      odd.readOpen({ tenantId: "named", limit: 9, ...forever() }),
      (error) => error instanceof SourceError && error.kind === "denied",
    );
    for (const table of ["", "a.b.c", "a.", "x".repeat(64), "a\0"]) {
      assert.throws(() => createAlertSource(pool, { table }), TypeError, table);
    }
  },
});
