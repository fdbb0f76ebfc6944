// InfluxDB failing in every way that could be thought of, under the telemetry of many tenants, while alerts go on.
import assert from "node:assert/strict";
import { lineProtocol } from "../sources/influx/line_protocol.ts";
import { serveStub, type StubServer } from "../sources/influx/stub_server.ts";
import { findInfluxd, openInfluxd, type TestInfluxd } from "../support/influxd.ts";
import { findPostgres, openPostgres, type TestPostgres } from "../support/postgres.ts";
import { pause, until } from "../support/until.ts";
import { endure, type Fault } from "./endure.ts";
import { FaultProxy } from "./fault_proxy.ts";
import { FaultRig, tenantNames } from "./fault_rig.ts";
import { maxProbes } from "./max_probes.ts";

const tenants = tenantNames(40);
const POLL_MS = 250;
const user = { username: "pulse", password: "s3cret" } as const;

async function fillPostgres(server: TestPostgres): Promise<void> {
  await server.execute(
    `INSERT INTO fleet_alert (tenant_id, summary) VALUES ${
      tenants.map((tenant) => `('${tenant}', 'of ${tenant}')`).join(", ")
    }`,
  );
}

async function fillInfluxd(influxd: TestInfluxd, tenant: string): Promise<void> {
  await influxd.createDatabase(`telemetry_${tenant}`);
  const points = ["dev-1", "dev-2", "dev-3"].map((deviceId) => ({
    deviceId,
    timestamp: new Date().toISOString(),
    metrics: { owner: `${tenant}/${deviceId}` },
  }));
  await influxd.write(`telemetry_${tenant}`, lineProtocol(points));
}

interface Stage {
  readonly influxd: TestInfluxd;
  readonly proxy: FaultProxy;
}

function wire(proxy: FaultProxy, mode: FaultProxy["mode"]) {
  return { breaks: () => void (proxy.mode = mode), mends: () => void (proxy.mode = "forward") };
}

const faults: Readonly<Record<string, (stage: Stage) => Omit<Fault, "source">>> = {
  "InfluxDB killed, and started again": ({ influxd }) => ({
    breaks: () => influxd.kill(),
    mends: () => influxd.restart(),
    says: /InfluxDB does not answer/,
  }),
  "InfluxDB refusing connections": ({ proxy }) => ({
    ...wire(proxy, "refuse"),
    says: /InfluxDB does not answer/,
  }),
  "InfluxDB hanging": ({ proxy }) => ({
    ...wire(proxy, "hang"),
    says: /did not answer within 1500 ms/,
  }),
  "InfluxDB hanging in the middle of a response": ({ proxy }) => ({
    ...wire(proxy, "break-off"),
    says: /did not answer within 1500 ms/,
  }),
  "InfluxDB answering slower than the time-out": ({ proxy }) => ({
    breaks: () => void (proxy.delayMs = 4_000),
    mends: () => void (proxy.delayMs = 0),
    says: /did not answer within 1500 ms/,
  }),
  "InfluxDB answering garbage": ({ proxy }) => ({
    ...wire(proxy, "garbage"),
    says: /InfluxDB does not answer|InfluxDB's answer can't be read/,
  }),
  "A password that is no longer right": ({ influxd }) => ({
    breaks: async () => void await influxd.query(`SET PASSWORD FOR "bob" = 'another'`),
    mends: async () => void await influxd.query(`SET PASSWORD FOR "bob" = 'x'`),
    says: /InfluxDB refuses the credentials: status is 401/,
  }),
};

Deno.test({
  name: "Faults of InfluxDB degrade telemetry alone, quietly, and pass",
  ignore: findPostgres() === null || findInfluxd() === null,
  async fn(t) {
    await using server = await openPostgres();
    await using influxd = await openInfluxd({ admin: user });
    await influxd.query(`CREATE USER "bob" WITH PASSWORD 'x'`);
    await fillPostgres(server);
    for (const tenant of tenants) {
      await fillInfluxd(influxd, tenant);
      await influxd.query(`GRANT READ ON "telemetry_${tenant}" TO "bob"`);
    }
    const settings = {
      DATABASE_URL: server.appUrl,
      INFLUXDB_USERNAME: "bob",
      INFLUXDB_PASSWORD: "x",
    };
    const targetPort = Number(new URL(influxd.url).port);
    for (const [name, faultOf] of Object.entries(faults)) {
      await t.step(name, async () => {
        await using proxy = new FaultProxy({ targetPort, marker: "POST /query" });
        await using rig = new FaultRig({
          settings: { ...settings, INFLUXDB_URL: proxy.through(influxd.url) },
          tenants,
          pollMs: POLL_MS,
        });
        const fault = { source: "telemetry", ...faultOf({ influxd, proxy }) } as const;
        await endure(rig, { fault, counter: proxy });
      });
    }

    await t.step("InfluxDB answering slowly, but in time, delays no alert", async () => {
      await using proxy = new FaultProxy({ targetPort, marker: "POST /query" });
      await using rig = new FaultRig({
        settings: { ...settings, INFLUXDB_URL: proxy.through(influxd.url) },
        tenants: tenants.slice(0, 6),
        pollMs: POLL_MS,
        readTimeoutMs: 60_000,
      });
      await everybodyHasBoth(rig);
      const answers = Promise.withResolvers<void>();
      proxy.held = answers.promise;
      await rig.goesOn("alerts");
      const from = performance.now();
      answers.resolve();
      proxy.held = null;
      await until(() => rig.everyoneHas("telemetry", from), {
        what: "slow pushes: slow is not down",
      });
      assert.equal(rig.sources.state().telemetry.state, "ok");
      rig.checkHonest();
    });

    // To who may do everything the bucket does not exist; who may not is not told so.
    const users = {
      "A bucket that is missing": user,
      "A bucket that refuses the credentials": { username: "bob", password: "x" },
    };
    for (const [name, { username, password }] of Object.entries(users)) {
      await t.step(`${name} hits its tenant alone`, async () => {
        await using proxy = new FaultProxy({ targetPort, marker: "telemetry_t3&" });
        await using rig = new FaultRig({
          settings: {
            ...settings,
            INFLUXDB_USERNAME: username,
            INFLUXDB_PASSWORD: password,
            INFLUXDB_URL: proxy.through(influxd.url),
          },
          tenants,
          pollMs: POLL_MS,
        });
        await everybodyHasBoth(rig);
        const lines = rig.log.records.length;
        await influxd.query('DROP DATABASE "telemetry_t3"');
        await until(() => rig.log.of("read_failed").length > 0, { what: "the tenant's failure" });
        const from = performance.now();
        proxy.resetCounts();
        await Promise.all([
          pause(2_000),
          rig.goesOn("telemetry", { except: ["t3"] }),
          rig.goesOn("alerts"),
        ]);
        const to = performance.now();
        const { requests } = proxy;
        // Pauses of at least an eighth, a quarter, a half and a whole second.
        const allowed = maxProbes(to - from, { baseMs: POLL_MS });
        assert.ok(requests <= allowed, `${requests} attempts at a missing bucket`);
        assert.equal(rig.sources.state().telemetry.state, "ok");
        assert.ok(!rig.pushesOf("telemetry", from).some(({ tenantId }) => tenantId === "t3"));

        await fillInfluxd(influxd, "t3");
        await influxd.query('GRANT READ ON "telemetry_t3" TO "bob"');
        await until(
          () => rig.pushesOf("telemetry", to).some(({ tenantId }) => tenantId === "t3"),
          { what: "the tenant's pushes" },
        );
        const told = rig.linesSince(lines).map(({ event, fields }) => [event, fields.tenant]);
        assert.deepEqual(told, [["read_failed", "t3"], ["read_recovered", "t3"]]);
        rig.checkHonest();
      });
    }

    await t.step("A device that makes one query fail is left out, and nobody else is", async () => {
      await using spoiled = spoilQueries(influxd, "dev-2");
      await using rig = new FaultRig({
        settings: { ...settings, INFLUXDB_URL: spoiled.url },
        tenants: tenants.slice(0, 3),
        devices: ["dev-1", "dev-2", "dev-3"],
        pollMs: POLL_MS,
      });
      const has = (deviceId: string) =>
        tenants.slice(0, 3).every((tenant) =>
          rig.pushes.some((push) => push.deviceId === deviceId && push.tenantId === tenant)
        );
      await until(() => has("dev-1") && has("dev-3"), { what: "the other devices" });
      await until(() => rig.log.of("devices_set_aside").length === 3, { what: "three log lines" });
      await pause(4 * POLL_MS);
      assert.ok(!rig.pushes.some(({ deviceId }) => deviceId === "dev-2"));
      assert.equal(rig.log.of("devices_set_aside").length, 3, "one line a tenant, not one a tick");
      assert.equal(rig.sources.state().telemetry.state, "ok");
      rig.checkHonest();
    });
  },
});

async function everybodyHasBoth(rig: FaultRig): Promise<void> {
  await until(() => rig.everyoneHas("telemetry", 0) && rig.everyoneHas("alerts", 0), {
    what: "pushes of both kinds to everybody",
  });
}

/** A reverse proxy that answers a query naming the device as InfluxDB answers one that it can't parse. */
function spoilQueries(influxd: TestInfluxd, deviceId: string): StubServer {
  return serveStub(async ({ path, headers, body }) => {
    if (decodeURIComponent(body).includes(`"${deviceId}"`)) {
      return Response.json({ error: "error parsing query: found EOF" }, { status: 400 });
    }
    const authorization = headers.get("authorization") ?? "";
    const contentType = headers.get("content-type") ?? "";
    const response = await fetch(`${influxd.url}${path}`, {
      method: "POST",
      body,
      headers: { authorization, "content-type": contentType },
    });
    return new Response(await response.text(), { status: response.status });
  });
}
