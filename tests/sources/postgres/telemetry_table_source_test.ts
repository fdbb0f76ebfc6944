// Runs the suite of every telemetry source on the table, and what only a jsonb column can do wrong.
import assert from "node:assert/strict";
import { systemClock } from "../../../src/clock.ts";
import {
  createTelemetryTableSource,
  type TelemetryTableOptions,
} from "../../../src/sources/postgres/telemetry_table_source.ts";
import { telemetryTableQueries } from "../../../src/sources/postgres/telemetry_table_queries.ts";
import type { PostgresPool } from "../../../src/sources/postgres/postgres_pool.ts";
import { openPostgres } from "../../support/postgres.ts";
import { rangeSuite } from "../range_suite.ts";
import type { TelemetryFixture, TelemetryPoint } from "../telemetry_fixture.ts";
import { telemetrySuite } from "../telemetry_suite.ts";
import { forever, openPool, postgresSuite } from "./postgres_fixture.ts";

function sourceOn(pool: PostgresPool, options: Partial<TelemetryTableOptions> = {}) {
  return createTelemetryTableSource(pool, {
    table: "telemetry",
    lookbackMs: 6 * 3_600_000,
    futureMs: 60_000,
    metadataKeys: ["time", "device_id", "site_id", "seq"],
    clock: systemClock,
    ...options,
  });
}

/** JSON text with bigints as integers. */
function toJson(metrics: TelemetryPoint["metrics"]): string {
  const members = Object.entries(metrics).map(([name, value]) =>
    `${JSON.stringify(name)}:${typeof value === "bigint" ? value : JSON.stringify(value)}`
  );
  return `{${members.join(",")}}`;
}

async function openFixture(): Promise<TelemetryFixture> {
  const server = await openPostgres();
  const pool = openPool(server, { maxConnections: server.kind === "pglite" ? 1 : 4 });
  return {
    precision: 6,
    unknownTenant: "empty",
    async write(tenantId, points) {
      const rows = points.map((point) => ({
        tenant_id: tenantId,
        device_id: point.deviceId,
        site_id: point.siteId ?? null,
        time: point.timestamp,
        metrics: toJson(point.metrics),
      }));
      await server.execute(
        `INSERT INTO telemetry
         SELECT tenant_id, device_id, site_id, time::timestamptz, metrics::jsonb
         FROM json_to_recordset($1::text::json)
           AS row (tenant_id text, device_id text, site_id text, time text, metrics text)`,
        [JSON.stringify(rows)],
      );
    },
    source: (options) => sourceOn(pool, options),
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
      await server.stop();
    },
  };
}

telemetrySuite("Telemetry from a table of PostgreSQL", openFixture);
rangeSuite("Ranges and lists from a table of PostgreSQL", openFixture);

postgresSuite("The telemetry table", {
  async "One device whose metrics are no object is unreadable, and the others are not hit"(server) {
    await using pool = openPool(server);
    const stored = { good: `{"a":1}`, list: "[1]", text: `"x"`, number: "1", nothing: "null" };
    for (const [device, metrics] of Object.entries(stored)) {
      await server.execute(
        "INSERT INTO telemetry VALUES ('odd', $1::text, NULL, now(), $2::text::jsonb)",
        [device, metrics],
      );
    }
    for (const deviceIds of [[...Object.keys(stored), "absent"], "all"] as const) {
      const { samples, unreadable } = await sourceOn(pool).readLatest({
        tenantId: "odd",
        deviceIds,
        ...forever(),
      });
      assert.deepEqual([...samples.keys()], ["good"]);
      assert.deepEqual([...unreadable.keys()].sort(), ["list", "nothing", "number", "text"]);
      assert.match(
        unreadable.get("list") ?? "",
        /a JSON object is expected, the stored value is an array/,
      );
    }
  },

  async "A range leaves out the samples that are no objects, says so, and keeps the others"(
    server,
  ) {
    await using pool = openPool(server);
    for (const [second, metrics] of ["[1]", `{"a":1}`, `"x"`, `{"a":4}`].entries()) {
      await server.execute(
        `INSERT INTO telemetry
         VALUES ('odd-range', 'd', NULL, timestamptz '2026-11-18T11:06:00Z' + $1::text::float8 * interval '1 s', $2::text::jsonb)`,
        [String(second), metrics],
      );
    }
    await server.execute(
      "INSERT INTO telemetry VALUES ('odd-range', 'good', NULL, '2026-11-18T11:06:01Z', $1::text::jsonb)",
      [`{"big":9007199254740993,"deep":{"x":[1]}}`],
    );
    for (const resolutionSeconds of [null, 60]) {
      const { samples, unreadable } = await sourceOn(pool).readRange({
        tenantId: "odd-range",
        deviceIds: ["d", "good", "nul\0"],
        after: "2026-11-18T11:00:00.000000000Z",
        until: "2026-11-18T12:00:00.000000000Z",
        maxSamples: 10,
        order: "ascending",
        resolutionSeconds,
        ...forever(),
      });
      const values = samples.get("d")?.map(({ metrics }) => metrics.a);
      assert.deepEqual(values, resolutionSeconds === null ? [1, 4] : [2.5]);
      assert.deepEqual([...unreadable.keys()], ["d"]);
      assert.match(unreadable.get("d") ?? "", /a JSON object is expected/);
      const big = samples.get("good")?.[0]?.metrics;
      const expected = resolutionSeconds === null ? "9007199254740993" : 9_007_199_254_740_992;
      assert.deepEqual({ ...big }, { big: expected, deep: { x: [1] } });
    }
  },

  async "A list of devices, and a read of all of them, step over their histories"(server) {
    await server.execute(`
      INSERT INTO telemetry
        SELECT 'list', 'dev-' || d, 's', now() - n * interval '1 second', '{"a":1}'
        FROM generate_series(1, 20) AS d, generate_series(1, 1000) AS n;
      ANALYZE telemetry`);
    await using pool = openPool(server);
    const { devices, latestOfAll } = telemetryTableQueries("telemetry");
    const parameters = ["list", "2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z"];
    const reads = [
      { text: devices, parameters: [...parameters, 100] },
      { text: latestOfAll, parameters },
    ];
    for (const { text, parameters } of reads) {
      const statement = { text: `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, parameters };
      const [rows] = await pool.readAsTenant("list", [statement], forever());
      const plan = rows[0]?.["QUERY PLAN"] ?? "";
      assert.doesNotMatch(plan, /"Node Type": "Seq Scan"/);
      const scanned = [
        ...plan.matchAll(/"Node Type": "Index (?:Only )?Scan".*?"Actual Rows": ([\d.]+)/gs),
      ];
      assert.ok(scanned.length >= 3);
      assert.ok(scanned.every(([, rowsEach]) => Number(rowsEach) <= 1), plan);
    }
  },

  async "Nested values are kept, to the last digit of their integers"(server) {
    await using pool = openPool(server);
    const metrics =
      `{"deep":{"list":[1,null,{"big":9007199254740993}],"__proto__":{"polluted":true}},"gone":null,"decimal":1.50}`;
    await server.execute(
      "INSERT INTO telemetry VALUES ('nested', 'd', NULL, now(), $1::text::jsonb)",
      [metrics],
    );
    const { samples } = await sourceOn(pool).readLatest({
      tenantId: "nested",
      deviceIds: ["d"],
      ...forever(),
    });
    const read = JSON.stringify(samples.get("d")?.metrics);
    assert.deepEqual(
      JSON.parse(read),
      JSON.parse(
        `{"deep":{"list":[1,null,{"big":"9007199254740993"}],"__proto__":{"polluted":true}},"decimal":1.5}`,
      ),
    );
    assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  },

  async "A double that jsonb wrote out is a number again, a long integer and a long text keep their digits"(
    server,
  ) {
    await using pool = openPool(server);
    const digits = "123456789012345678901234567890";
    await server.execute(
      "INSERT INTO telemetry VALUES ('long', 'd', NULL, now(), $1::text::jsonb)",
      [`{"double":-1.5e300,"int":${digits},"text":"\\"${digits}","fraction":0.${digits},"over":1e400,"e":1e21}`],
    );
    const { samples } = await sourceOn(pool).readLatest({
      tenantId: "long",
      deviceIds: ["d"],
      ...forever(),
    });
    assert.deepEqual({ ...samples.get("d")?.metrics }, {
      double: -1.5e300,
      int: digits,
      text: `"${digits}`,
      fraction: 0.12345678901234568,
      over: `1${"0".repeat(400)}`,
      e: 1e21,
    });
  },

  async "A read of many devices goes down the index once for each, however long their history"(
    server,
  ) {
    await server.execute(`
      INSERT INTO telemetry
        SELECT 'plan', 'dev-' || d, 's', now() - n * interval '1 second', '{"a":1}'
        FROM generate_series(1, 50) AS d, generate_series(1, 1000) AS n;
      INSERT INTO telemetry
        SELECT 'plan-other', 'dev-' || d, 's', now() - n * interval '1 second', '{"a":1}'
        FROM generate_series(1, 50) AS d, generate_series(1, 200) AS n;
      ANALYZE telemetry`);
    await using pool = openPool(server);
    const deviceIds = Array.from({ length: 50 }, (_, n) => `dev-${n + 1}`);
    let read: { readonly text: string; readonly parameters: readonly unknown[] } | undefined;
    const recorder = Object.create(pool, {
      readAsTenant: {
        value: (_tenant: string, statements: readonly [NonNullable<typeof read>]) => {
          read = statements[0];
          return Promise.resolve([[]]);
        },
      },
    }) as PostgresPool;
    await sourceOn(recorder).readLatest({ tenantId: "plan", deviceIds, ...forever() });
    const [rows] = await pool.readAsTenant("plan", [{
      text: `EXPLAIN (ANALYZE, FORMAT JSON) ${read?.text}`,
      parameters: read?.parameters as readonly string[],
    }], forever());
    const plan = rows[0]?.["QUERY PLAN"] ?? "";
    assert.match(plan, /"Index Name": "telemetry_newest"/);
    assert.doesNotMatch(plan, /"Node Type": "(Seq Scan|Sort|Bitmap Heap Scan)"/);
    const index = /"Node Type": "Index Scan".*?"Actual Rows": ([\d.]+),\s+"Actual Loops": (\d+)/s
      .exec(plan);
    assert.deepEqual([Number(index?.[1]), Number(index?.[2])], [1, 50]);
  },
});
