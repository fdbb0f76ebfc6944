// The whole service with PostgreSQL alone, telemetry included; PGlite stands in where no server is installed.
import assert from "node:assert/strict";
import { systemClock } from "../../src/clock.ts";
import { openSources } from "../../src/sources/open_sources.ts";
import { findPostgres, openPostgres } from "../support/postgres.ts";
import { startService } from "../support/service.ts";
import { until } from "../support/until.ts";
import { instant } from "./databases.ts";

const isReal = findPostgres() !== null;

Deno.test({
  name: `TELEMETRY_SOURCE=postgres serves values and alerts of two tenants from one database${
    isReal ? "" : " (on PGlite; left out: PostgreSQL is not installed)"
  }`,
  // PGlite's ends of the sockets live in this process and close a little after ours.
  sanitizeOps: isReal,
  sanitizeResources: isReal,
  async fn() {
    await using database = await openPostgres();
    const timestamp = instant({ agoMs: 1_000, nanos: 123_456_000 });
    for (const tenant of ["north", "south"]) {
      await database.execute(
        `INSERT INTO telemetry (tenant_id, device_id, site_id, time, metrics)
         VALUES ($1, 'dev-1', 's', $2::text::timestamptz, $3::text::jsonb)`,
        [
          tenant,
          timestamp,
          `{"owner":"${tenant}","big":9007199254740993,"temp_c":22.5,"gone":null,"seq":1}`,
        ],
      );
      await database.execute(
        "INSERT INTO fleet_alert (tenant_id, summary) VALUES ($1, 'of ' || $1::text)",
        [tenant],
      );
    }
    await using service = await startService({
      settings: {
        TELEMETRY_SOURCE: "postgres",
        DATABASE_URL: database.appUrl,
        WS_POLL_SECONDS: "0.2",
      },
      sources: (config, log) => openSources(config, { clock: systemClock, log }),
    });
    for (const tenant of ["north", "south"]) {
      await using client = await service.connect({ tenant_id: tenant });
      await client.subscribe("dev-1");
      await client.subscribe("dev-1' OR 'x'='x");
      await client.ask({ action: "subscribe", type: "alerts" });
      for (let tick = 0; tick < 2; tick++) await client.push("telemetry");
      const pushes = client.messages.filter(({ type }) => type === "telemetry");
      for (const { device_id: id, data } of pushes) {
        assert.equal(id, "dev-1");
        assert.equal(data.timestamp, timestamp);
        assert.deepEqual(data.metrics, { owner: tenant, big: "9007199254740993", temp_c: 22.5 });
      }
      const { alerts } = await client.next(({ type }) => type === "alerts");
      assert.deepEqual(
        alerts.map(({ summary }: { summary: string }) => summary),
        [`of ${tenant}`],
      );
    }
    await until(() => service.app.feeds.feedCount === 0);
  },
});
