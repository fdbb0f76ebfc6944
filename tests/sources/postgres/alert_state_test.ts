// Holds the read of open alerts, changes and counts to its port, on a real table: nothing that changed may be lost.
import assert from "node:assert/strict";
import type { AlertStateQuery, AlertTableState } from "../../../src/sources/alert_source.ts";
import { alertTableQueries } from "../../../src/sources/postgres/alert_table_queries.ts";
import { createAlertSource } from "../../../src/sources/postgres/alert_table_source.ts";
import type { PostgresPool } from "../../../src/sources/postgres/postgres_pool.ts";
import type { StatementParameter } from "../../../src/sources/postgres/statement.ts";
import type { TestPostgres } from "../../support/postgres.ts";
import { forever, openPool, postgresSuite } from "./postgres_fixture.ts";

interface AlertRow {
  readonly tenant: string;
  readonly createdAt: string;
  readonly closedAt?: string;
  readonly status?: string;
  readonly severity?: number | null;
}

async function insert(server: TestPostgres, row: AlertRow): Promise<number> {
  const { tenant, createdAt, closedAt = null, status = "OPEN", severity = 3 } = row;
  const [inserted] = await server.execute(
    `INSERT INTO fleet_alert (tenant_id, created_at, closed_at, status, severity, summary, confidence, details)
     VALUES ($1::text, $2::text::timestamptz, $3::text::timestamptz, $4::text, $5::text::int, 'Too hot', 'NaN', '{}')
     RETURNING id::int AS id`,
    [tenant, createdAt, closedAt, status, severity === null ? null : String(severity)],
  );
  return Number(inserted?.id);
}

async function readState(
  server: TestPostgres,
  tenantId: string,
  query: Partial<AlertStateQuery> = {},
): Promise<AlertTableState> {
  await using pool = openPool(server);
  return await stateOn(pool, tenantId, query);
}

function stateOn(
  pool: PostgresPool,
  tenantId: string,
  query: Partial<AlertStateQuery> = {},
): Promise<AlertTableState> {
  return createAlertSource(pool, { table: "fleet_alert" }).readState({
    tenantId,
    limit: 100,
    changedSince: null,
    changedLimit: 100,
    isCounted: false,
    ...forever(),
    ...query,
  });
}

/** An instant of one day, with six digits as the table shows it. */
function at(minute: number, micros = 0): string {
  const digits = String(micros).padStart(6, "0");
  return `2026-11-18T11:${String(minute).padStart(2, "0")}:00.${digits}Z`;
}

/** The same with the nine digits of a cursor. */
function since(minute: number, nanos = 0): string {
  return `2026-11-18T11:${String(minute).padStart(2, "0")}:00.${String(nanos).padStart(9, "0")}Z`;
}

function ids(alerts: AlertTableState["open"]): number[] {
  return alerts.map((alert) => alert.alert_id);
}

function changes({ changed }: AlertTableState): [number, boolean, string | null][] {
  return changed.map(({ alert, isOpen, closedAt }) => [alert.alert_id, isOpen, closedAt]);
}

postgresSuite("The state of the alerts", {
  async "Open alerts are those of a read of open alerts, and nothing else is said unasked"(server) {
    const tenant = "plain";
    const first = await insert(server, { tenant, createdAt: at(1), severity: null });
    const second = await insert(server, { tenant, createdAt: at(2, 123_456) });
    await insert(server, { tenant, createdAt: at(3), closedAt: at(4) });
    await insert(server, { tenant, createdAt: at(3), status: "CLOSED" });
    await insert(server, { tenant, createdAt: "infinity" });
    await insert(server, { tenant: "plain-b", createdAt: at(5) });
    await using pool = openPool(server);
    const state = await stateOn(pool, tenant);
    const source = createAlertSource(pool, { table: "fleet_alert" });
    const open = await source.readOpen({ tenantId: tenant, limit: 100, ...forever() });
    assert.deepEqual(ids(state.open), [second, first]);
    assert.equal(JSON.stringify(state.open), JSON.stringify(open));
    const { changed, isChangedTruncated, counts } = state;
    assert.deepEqual({ changed, isChangedTruncated, counts }, {
      changed: [],
      isChangedTruncated: false,
      counts: null,
    });
    assert.deepEqual(ids((await stateOn(pool, tenant, { limit: 1 })).open), [second]);
  },

  async "What was created or closed since comes oldest first, by the later of the two instants"(
    server,
  ) {
    const tenant = "changed";
    const old = await insert(server, { tenant, createdAt: at(1) });
    const closed = await insert(server, { tenant, createdAt: at(2), closedAt: at(14, 7) });
    await insert(server, { tenant, createdAt: at(3), closedAt: at(9) });
    const passed = await insert(server, { tenant, createdAt: at(11), closedAt: at(13) });
    const opened = await insert(server, { tenant, createdAt: at(12) });
    const backwards = await insert(server, { tenant, createdAt: at(15), closedAt: at(8) });
    const unnoted = await insert(server, { tenant, createdAt: at(16), status: "CLOSED" });
    await insert(server, { tenant, createdAt: at(4), status: "CLOSED" });
    await insert(server, { tenant: "changed-b", createdAt: at(12), closedAt: at(13) });
    const state = await readState(server, tenant, { changedSince: since(10) });
    assert.deepEqual(changes(state), [
      [opened, true, null],
      [passed, false, at(13)],
      [closed, false, at(14, 7)],
      [backwards, false, at(8)],
      [unnoted, false, null],
    ]);
    assert.equal(state.isChangedTruncated, false);
    assert.deepEqual(ids(state.open), [opened, old]);
    const [first] = state.changed;
    assert.equal(JSON.stringify(first?.alert), JSON.stringify(state.open[0]));
    assert.deepEqual(changes(await readState(server, tenant, { changedSince: since(20) })), []);
  },

  async "The limit keeps the latest changes and says that there were more"(server) {
    const tenant = "limit";
    const created: number[] = [];
    for (let n = 0; n < 4; n++) {
      created.push(await insert(server, { tenant, createdAt: at(10 + n, n) }));
    }
    const closed: number[] = [];
    for (let n = 0; n < 4; n++) {
      closed.push(await insert(server, { tenant, createdAt: at(n), closedAt: at(10 + n, n) }));
    }
    // Of one instant, the higher number is the later one.
    const all = created.flatMap((id, n) => [id, closed[n] ?? 0]);
    for (const limit of [1, 2, 3, 4, 5, 7, 8, 9]) {
      const state = await readState(server, tenant, {
        changedSince: since(9),
        changedLimit: limit,
      });
      assert.deepEqual(changes(state).map(([id]) => id), all.slice(-limit), `limit ${limit}`);
      assert.equal(state.isChangedTruncated, limit < all.length, `limit ${limit}`);
      assert.equal(state.open.length, created.length, "which bounds the changes and nothing else");
    }
  },

  async "Since is exclusive to the microsecond, and one that an instant lies within is not lost"(
    server,
  ) {
    const tenant = "exact";
    const created = await insert(server, { tenant, createdAt: at(10, 123_456) });
    const closed = await insert(server, { tenant, createdAt: at(1), closedAt: at(10, 123_456) });
    const read = async (changedSince: string) =>
      changes(await readState(server, tenant, { changedSince })).map(([id]) => id);
    assert.deepEqual(await read(since(10, 123_455_000)), [created, closed]);
    assert.deepEqual(await read(since(10, 123_455_999)), [created, closed]);
    assert.deepEqual(await read(since(10, 123_456_000)), []);
    assert.deepEqual(await read(since(10, 123_456_001)), [created, closed]);
    assert.deepEqual(await read(since(10, 123_456_999)), [created, closed]);
    assert.deepEqual(await read(since(10, 123_457_000)), []);
    assert.deepEqual(await read(since(10, 123_457_001)), []);
  },

  async "An instant without an end is none, and hides nothing"(server) {
    const tenant = "endless";
    const fresh = await insert(server, { tenant, createdAt: at(11), closedAt: "infinity" });
    await insert(server, { tenant, createdAt: at(1), closedAt: "infinity" });
    await insert(server, { tenant, createdAt: at(2), closedAt: "-infinity" });
    await insert(server, { tenant, createdAt: "infinity", closedAt: at(12) });
    const last = await insert(server, { tenant, createdAt: at(12) });
    const state = await readState(server, tenant, { changedSince: since(10), changedLimit: 2 });
    assert.deepEqual(changes(state), [[fresh, false, null], [last, true, null]]);
    assert.equal(state.isChangedTruncated, false);
  },

  async "Counts are of all open alerts, whatever the limit, by severity"(server) {
    const tenant = "counts";
    const severities = [1, 3, 3, 3, null, null, 0, -2];
    for (const [n, severity] of severities.entries()) {
      await insert(server, { tenant, createdAt: at(n), severity });
    }
    await insert(server, { tenant, createdAt: at(20), closedAt: at(21), severity: 5 });
    await insert(server, { tenant, createdAt: "infinity", severity: 5 });
    await insert(server, { tenant: "counts-b", createdAt: at(20), severity: 5 });
    const state = await readState(server, tenant, { isCounted: true, limit: 2 });
    assert.equal(state.open.length, 2);
    assert.deepEqual(state.counts, {
      total: 8,
      bySeverity: { "-2": 1, "0": 1, "1": 1, "3": 3, none: 2 },
    });
    const nobody = await readState(server, "counts-c", { isCounted: true });
    assert.deepEqual(nobody.counts, { total: 0, bySeverity: {} });
  },

  async "A tenant id that is not one never reaches the database, and a signal ends a read"(server) {
    await insert(server, { tenant: "' OR true --", createdAt: at(1) });
    for (const bad of ["' OR true --", "", "a b", "x".repeat(65)]) {
      await assert.rejects(readState(server, bad), TypeError, JSON.stringify(bad));
    }
    await using pool = openPool(server);
    const reason = new Error("Enough");
    const isReason = (error: unknown) => error === reason;
    await assert.rejects(stateOn(pool, "gone", { signal: AbortSignal.abort(reason) }), isReason);
    const controller = new AbortController();
    const pending = stateOn(pool, "gone", { signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(pending, isReason);
  },

  async "A read goes down an index for each part, and leaves the rows of long ago alone"(server) {
    await server.execute(`
      INSERT INTO fleet_alert (tenant_id, created_at, closed_at, status)
        SELECT tenant, now() - n * interval '1 minute', now() - (n - 5) * interval '1 minute', 'CLOSED'
        FROM generate_series(10, 20000) AS n, unnest(ARRAY['plan', 'plan-other']) AS tenant;
      INSERT INTO fleet_alert (tenant_id, created_at)
        SELECT 'plan', now() - n * interval '1 hour' FROM generate_series(1, 20) AS n;
      ANALYZE fleet_alert`);
    await using pool = openPool(server);
    const looks = async (parameters: readonly StatementParameter[]) => {
      const text = `EXPLAIN (ANALYZE, FORMAT JSON) ${alertTableQueries("fleet_alert").state}`;
      const [rows] = await pool.readAsTenant("plan", [{ text, parameters }], forever());
      const [{ Plan }] = JSON.parse(rows[0]?.["QUERY PLAN"] ?? "");
      return looksAt(Plan);
    };
    const hourAgo = new Date(Date.now() - 3_600_000).toISOString();
    const whole = await looks(["plan", 1_000, hourAgo, 20_001, "true"]);
    assert.deepEqual(whole.map(({ index }) => index).sort(), [
      "fleet_alert_closed",
      "fleet_alert_created",
      "fleet_alert_open",
      "fleet_alert_open",
    ]);
    for (const { index, rows } of whole) assert.ok(rows <= 60, `${index}: ${rows} rows`);
    const openOnly = await looks(["plan", 1_000, null, 1_001, "false"]);
    assert.deepEqual(openOnly.map(({ index }) => index), ["fleet_alert_open"]);
  },
});

postgresSuite("The state of the alerts while others write", {
  async "All parts of an answer are of one instant"(server) {
    const tenant = "racing";
    const id = await insert(server, { tenant, createdAt: at(20) });
    await using pool = openPool(server);
    await stateOn(pool, tenant);
    let isWriting = true;
    const writing = server.execute(`
      DO $$ BEGIN
        FOR round IN 1..4000 LOOP
          UPDATE fleet_alert SET closed_at = CASE WHEN closed_at IS NULL THEN created_at END WHERE id = ${id};
          COMMIT;
        END LOOP;
      END $$`).finally(() => isWriting = false);
    const readWhileWriting = async () => {
      const seen = new Set<string>();
      do {
        const { open, changed, counts } = await stateOn(pool, tenant, {
          changedSince: since(10),
          isCounted: true,
        });
        seen.add(JSON.stringify([open.length, changed.map(({ isOpen }) => isOpen), counts?.total]));
      } while (isWriting);
      return [...seen];
    };
    const [, ...seen] = await Promise.all([writing, readWhileWriting(), readWhileWriting()]);
    for (const state of seen.flat()) {
      assert.ok(["[0,[false],0]", "[1,[true],1]"].includes(state), state);
    }
  },
}, { real: true });

interface PlanNode {
  readonly Plans?: readonly PlanNode[];
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
}

/** Where a plan really looked at the table. */
function looksAt(node: PlanNode): { readonly index: string | undefined; readonly rows: number }[] {
  const below = (node.Plans ?? []).flatMap(looksAt);
  const isLook = node["Relation Name"] !== undefined && node["Actual Loops"] > 0;
  return isLook ? [{ index: node["Index Name"], rows: node["Actual Rows"] }, ...below] : below;
}
