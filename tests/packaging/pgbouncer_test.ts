// The service behind a real PgBouncer that pools by transaction: tenants stay apart on connections that they share, and
// notifications come past it.
import assert from "node:assert/strict";
import { systemClock } from "../../src/clock.ts";
import { openSources } from "../../src/sources/open_sources.ts";
import { findPostgres, openPostgres } from "../support/postgres.ts";
import { startService } from "../support/service.ts";
import { until } from "../support/until.ts";
import { findProgram } from "./example_file.ts";
import { PgBouncer } from "./pgbouncer_process.ts";

const path = findProgram("pgbouncer");
const missing = [
  ...(path === null ? ["pgbouncer is not installed"] : []),
  ...(findPostgres() === null ? ["PostgreSQL is not installed"] : []),
];
const why = missing.length === 0 ? "" : ` (left out: ${missing.join(", ")})`;
const TENANTS = ["acme", "globex", "initech"];

Deno.test({
  name: `Behind PgBouncer tenants that share one connection see their own, again and again${why}`,
  ignore: missing.length > 0,
  async fn() {
    await using postgres = await openPostgres();
    await using bouncer = await PgBouncer.start({
      path: path ?? "",
      url: postgres.appUrl,
      poolSize: 1,
    });
    const store = (round: number) =>
      postgres.execute(
        TENANTS.map((tenant) =>
          `INSERT INTO telemetry VALUES ('${tenant}', 'dev-1', NULL, now(), '{"of":"${tenant}","round":${round}}')`
        ).join("; "),
      );
    await store(0);
    await postgres.execute(
      TENANTS.map((tenant) =>
        `INSERT INTO fleet_alert (tenant_id, summary) VALUES ('${tenant}', 'of ${tenant}')`
      ).join("; "),
    );
    await using service = await startService({
      settings: {
        DATABASE_URL: bouncer.through(postgres.appUrl),
        DATABASE_PREPARE: "false",
        TELEMETRY_SOURCE: "postgres",
      },
      sources: (config, log) => openSources(config, { clock: systemClock, log }),
    });
    const clients = await Promise.all(
      TENANTS.map((tenant_id) => service.connect({ tenant_id, sub: tenant_id })),
    );
    try {
      for (const client of clients) {
        await client.subscribe("dev-1");
        await client.ask({ action: "subscribe", type: "alerts" });
      }
      for (const round of [1, 2, 3, 4, 5]) {
        await store(round);
        for (const client of clients) {
          await client.next(({ type, data }) =>
            type === "telemetry" && data.metrics.round === round
          );
        }
      }
      for (const [n, client] of clients.entries()) {
        await client.next(({ type }) => type === "alerts");
        const seen = client.messages.flatMap(({ type, data, alerts }) =>
          type === "telemetry"
            ? [data.metrics.of]
            : type === "alerts"
            ? alerts.map(({ summary }: { summary: string }) => summary.slice(3))
            : []
        );
        assert.ok(seen.length >= 6);
        assert.deepEqual(new Set(seen), new Set([TENANTS[n]]));
      }
      // One connection for all of it: otherwise nothing was shared, and nothing was shown.
      const [row] = await postgres.execute(
        "SELECT count(*)::int AS open FROM pg_stat_activity WHERE usename = 'pulsewire'",
      );
      assert.equal(row?.open, 1);
      assert.deepEqual(service.log.of("source_check_failed"), []);
      assert.deepEqual(service.log.of("source_degraded"), []);
    } finally {
      for (const client of clients) await client.close();
    }
  },
});

Deno.test({
  name: `Behind PgBouncer an alert is pushed at once with DATABASE_LISTEN_URL${why}`,
  ignore: missing.length > 0,
  async fn() {
    await using postgres = await openPostgres();
    await using bouncer = await PgBouncer.start({
      path: path ?? "",
      url: postgres.appUrl,
      poolSize: 2,
    });
    await using service = await startService({
      settings: {
        DATABASE_URL: bouncer.through(postgres.appUrl),
        DATABASE_LISTEN_URL: postgres.appUrl,
        DATABASE_PREPARE: "false",
        TELEMETRY_SOURCE: "postgres",
        ALERT_NOTIFY_CHANNEL: "fleet_alert",
        // Nothing comes by an interval: the test would be over.
        WS_POLL_SECONDS: "3600",
      },
      sources: (config, log) => openSources(config, { clock: systemClock, log }),
    });
    await using client = await service.connect();
    await client.ask({ action: "subscribe", type: "alerts" });
    await client.next(({ type }) => type === "alerts");
    await until(async () => {
      const listening = await postgres.execute(
        "SELECT 1 FROM pg_stat_activity WHERE query ILIKE 'listen%'",
      );
      return listening.length > 0;
    }, { what: "a connection that listens" });
    await postgres.execute(
      "INSERT INTO fleet_alert (tenant_id, summary) VALUES ('acme', 'Too warm')",
    );
    await client.next(({ type, alerts }) => type === "alerts" && alerts[0]?.summary === "Too warm");
  },
});
