// PostgreSQL failing in every way that could be thought of, under the alerts of many tenants, while telemetry goes on.
import { findInfluxd, openInfluxd, type TestInfluxd } from "../support/influxd.ts";
import { findPostgres, openPostgres, type TestPostgres } from "../support/postgres.ts";
import { lineProtocol } from "../sources/influx/line_protocol.ts";
import { until } from "../support/until.ts";
import { endure, type Fault } from "./endure.ts";
import { FaultProxy } from "./fault_proxy.ts";
import { FaultRig, tenantNames } from "./fault_rig.ts";

const tenants = tenantNames(40);
const POLL_MS = 250;

async function fill(server: TestPostgres, influxd: TestInfluxd): Promise<void> {
  await server.execute(
    `INSERT INTO fleet_alert (tenant_id, summary) VALUES ${
      tenants.map((tenant) => `('${tenant}', 'of ${tenant}')`).join(", ")
    }`,
  );
  for (const tenant of tenants) {
    await influxd.createDatabase(`telemetry_${tenant}`);
    const timestamp = new Date().toISOString();
    const metrics = { owner: `${tenant}/dev-1` };
    const points = [{ deviceId: "dev-1", timestamp, metrics }];
    await influxd.write(`telemetry_${tenant}`, lineProtocol(points));
  }
}

interface Stage {
  readonly server: TestPostgres;
  readonly proxy: FaultProxy;
}

const dropConnections =
  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pulsewire'";

function sql(server: TestPostgres, breaks: string, mends: string) {
  return {
    breaks: async () => void await server.execute(breaks),
    mends: async () => void await server.execute(mends),
  };
}

/** Breaks what a login is judged by; those that got in before it was known are put out. */
function login(server: TestPostgres, breaks: string, mends: string) {
  const { mends: mend } = sql(server, breaks, mends);
  return {
    breaks: async () => {
      await server.execute(breaks);
      await until(async () => (await server.execute(dropConnections)).length === 0, {
        what: "the end of all connections",
      });
    },
    mends: mend,
  };
}

function wire(proxy: FaultProxy, mode: FaultProxy["mode"]) {
  return { breaks: () => void (proxy.mode = mode), mends: () => void (proxy.mode = "forward") };
}

const faults: Readonly<Record<string, (stage: Stage) => Omit<Fault, "source">>> = {
  "PostgreSQL killed, and started again": ({ server }) => ({
    breaks: () => server.kill(),
    mends: () => server.restart("fast"),
    says: /did not answer the read/,
  }),
  "PostgreSQL refusing connections": ({ proxy }) => ({
    ...wire(proxy, "refuse"),
    says: /did not answer the read/,
  }),
  "PostgreSQL hanging": ({ proxy }) => ({
    ...wire(proxy, "hang"),
    says: /did not answer|did not take a connection/,
  }),
  "PostgreSQL hanging in the middle of an answer": ({ proxy }) => ({
    ...wire(proxy, "break-off"),
    says: /did not answer|did not take a connection/,
  }),
  "PostgreSQL answering slower than the time-out": ({ proxy }) => ({
    breaks: () => void (proxy.delayMs = 4_000),
    mends: () => void (proxy.delayMs = 0),
    says: /did not answer|did not take a connection/,
  }),
  "PostgreSQL out of connections": ({ server }) => ({
    ...login(
      server,
      "ALTER ROLE pulsewire CONNECTION LIMIT 0",
      "ALTER ROLE pulsewire CONNECTION LIMIT -1",
    ),
    says: /no connection left \(53300\)/,
  }),
  "A password that is no longer right": ({ server }) => ({
    ...login(
      server,
      "ALTER ROLE pulsewire PASSWORD 'another'",
      "ALTER ROLE pulsewire PASSWORD 'only-for-tests'",
    ),
    says: /refused the login or its password \(28P01\)/,
  }),
  "A policy that is missing": ({ server }) => ({
    ...sql(
      server,
      "ALTER POLICY fleet_alert_tenant ON fleet_alert TO pg_monitor",
      "ALTER POLICY fleet_alert_tenant ON fleet_alert TO PUBLIC",
    ),
    says: /no policy lets role "pulse_app" read it/,
  }),
  "Row-level security switched off": ({ server }) => ({
    ...sql(
      server,
      "ALTER TABLE fleet_alert DISABLE ROW LEVEL SECURITY",
      "ALTER TABLE fleet_alert ENABLE ROW LEVEL SECURITY",
    ),
    says: /row-level security is off/,
  }),
  "A role that is missing": ({ server }) => ({
    ...sql(
      server,
      "ALTER ROLE pulse_app RENAME TO gone",
      "ALTER ROLE gone RENAME TO pulse_app",
    ),
    says: /no role of DATABASE_ROLE's name/,
  }),
  "A table that is missing": ({ server }) => ({
    ...sql(
      server,
      "ALTER TABLE fleet_alert RENAME TO gone",
      "ALTER TABLE gone RENAME TO fleet_alert",
    ),
    says: /has no such table|the table does not exist/,
  }),
  "PostgreSQL answering garbage": ({ proxy }) => ({
    ...wire(proxy, "garbage"),
    says: /did not answer|did not take a connection/,
  }),
};

Deno.test({
  name: "Faults of PostgreSQL degrade alerts alone, quietly, and pass",
  ignore: findPostgres() === null || findInfluxd() === null,
  async fn(t) {
    await using server = await openPostgres();
    await using influxd = await openInfluxd();
    await fill(server, influxd);
    for (const [name, faultOf] of Object.entries(faults)) {
      await t.step(name, async () => {
        await using proxy = new FaultProxy({
          targetPort: server.port,
          marker: "BEGIN ISOLATION",
        });
        await using rig = new FaultRig({
          settings: { DATABASE_URL: proxy.through(server.appUrl), INFLUXDB_URL: influxd.url },
          tenants,
          pollMs: POLL_MS,
        });
        const fault = { source: "alerts", ...faultOf({ server, proxy }) } as const;
        await endure(rig, { fault, counter: proxy });
      });
    }
  },
});
