// The same on a real PostgreSQL that holds telemetry and alerts of every tenant in two tables, with connections that are cut.
import assert from "node:assert/strict";
import fc from "fast-check";
import { systemClock } from "../../src/clock.ts";
import { readConfig } from "../../src/config.ts";
import { openSources } from "../../src/sources/open_sources.ts";
import { findPostgres, openPostgres, type TestPostgres } from "../support/postgres.ts";
import { memoryLog } from "../support/memory_log.ts";
import { TEST_SECRET } from "../support/tokens.ts";
import { pause, until } from "../support/until.ts";
import { markOf, type TenantClient, TenantClients } from "./tenant_clients.ts";

const POLL_MS = 60;
const TENANTS = Array.from({ length: 24 }, (_, n) => `t${n}`);
const DEVICES = Array.from({ length: 6 }, (_, n) => `dev-${n}`);

async function fill(server: TestPostgres): Promise<void> {
  const rows = TENANTS.flatMap((tenant) =>
    DEVICES.map((device) =>
      `('${tenant}', '${device}', NULL, now(), '{"note":"${markOf(tenant)}${device}"}')`
    )
  );
  await server.execute(`
    INSERT INTO telemetry (tenant_id, device_id, site_id, time, metrics) VALUES ${rows.join(", ")};
    INSERT INTO fleet_alert (tenant_id, summary) VALUES ${
    TENANTS.map((tenant) => `('${tenant}', '${markOf(tenant)}')`).join(", ")
  }`);
}

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(
      fc.constant("connect" as const),
      fc.constantFrom(...TENANTS),
      fc.subarray(DEVICES, { minLength: 1 }),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc.constant("reconnect" as const),
      fc.constantFrom(...TENANTS),
      fc.subarray(DEVICES, { minLength: 1 }),
    ),
  },
  { weight: 2, arbitrary: fc.constant(["pass"] as const) },
  { weight: 1, arbitrary: fc.constant(["cut"] as const) },
);

Deno.test({
  name: "On a real PostgreSQL no frame reaches a connection of another tenant either",
  ignore: findPostgres() === null,
  async fn() {
    await using server = await openPostgres();
    await fill(server);
    const values: Readonly<Record<string, string>> = {
      JWT_SECRET: TEST_SECRET,
      DATABASE_URL: server.appUrl,
      TELEMETRY_SOURCE: "postgres",
      MAX_READS: "3",
      WS_POLL_SECONDS: String(POLL_MS / 1_000),
    };
    const config = readConfig({ get: (name) => values[name], readFile: Deno.readTextFileSync });
    const log = memoryLog();
    await using sources = openSources(config, { clock: systemClock, log });
    const { telemetry, alerts } = sources;
    const shared = { telemetry, alerts, pollMs: POLL_MS, clock: systemClock, log };
    let frames = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 20, maxLength: 40, size: "max" }),
        async (steps) => {
          using clients = new TenantClients(shared);
          for (const [act, tenantId, devices] of steps) {
            if (act === "pass") await pause(POLL_MS / 2);
            else if (act === "cut") await cut(server);
            else enter(clients, { tenantId, devices, leaves: act === "reconnect" });
            clients.check();
          }
          const open: readonly TenantClient[] = clients.clients;
          const isEnough = () =>
            open.every((client) => client.frames > 0) && clients.markedFrames >= 100;
          await until(isEnough, { what: "a push to everybody, and a hundred in all" });
          clients.check();
          frames += clients.markedFrames;
        },
      ),
      { numRuns: 12 },
    );
    assert.ok(frames > 1_000, `only ${frames} frames were looked at`);
  },
});

function enter(
  clients: TenantClients,
  { tenantId, devices, leaves }: {
    readonly tenantId: string;
    readonly devices: readonly string[];
    readonly leaves: boolean;
  },
): void {
  const [oldest] = clients.clients;
  if (leaves && oldest !== undefined) clients.disconnect(oldest);
  const client = clients.connect(tenantId);
  for (const deviceId of devices) clients.follow(client, deviceId);
  clients.followAlerts(client);
}

async function cut(server: TestPostgres): Promise<void> {
  await server.execute(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pulsewire'",
  );
}
