// Two workers on one port and on real databases: whatever a client is told is as it would be with one.
import assert from "node:assert/strict";
import { PulsewireClient } from "../../src/client/pulsewire_client.ts";
import { VERSION } from "../../src/version.ts";
import { PrometheusText } from "../observe/prometheus_text.ts";
import { Databases, instant, leftOut } from "../service/databases.ts";
import { TestClient } from "../support/client.ts";
import { signToken } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { startWorkers, type WorkerService } from "./worker_service.ts";

type Step = (databases: Databases) => Promise<void>;

const POLL_MS = 250;

/** Connects until each worker has so many of the tenant's clients: which of them gets one is the kernel's choice. */
async function spread(
  service: WorkerService,
  { tenantId, each }: { readonly tenantId: string; readonly each: number },
): Promise<TestClient[]> {
  const clients: TestClient[] = [];
  while ((await countsOf(service, tenantId)).some((count) => count < each)) {
    clients.push(await service.connect({ tenant_id: tenantId }));
  }
  return clients;
}

/** The tenant's connections, worker by worker. */
async function countsOf({ serving }: WorkerService, tenantId: string): Promise<number[]> {
  const usages = await Promise.all(
    serving.keeper.threads.map((thread) => thread.usageOf(tenantId)),
  );
  return usages.map(({ connections }) => connections.websocket);
}

async function closeAll(service: WorkerService, clients: readonly TestClient[]): Promise<void> {
  await Promise.all(clients.map((client) => client.close()));
  await until(async () => (await seatsOf(service)) === 0, { what: "no seat is taken" });
}

async function seatsOf(service: WorkerService, tenant = "acme"): Promise<number> {
  const status = await statusOf(service, tenant);
  return status.limits.connections_per_tenant.used;
}

async function statusOf({ origin }: WorkerService, tenant = "acme") {
  const authorization = `Bearer ${await signToken({ tenant_id: tenant })}`;
  const response = await fetch(`${origin}/api/v2/stream/status`, { headers: { authorization } });
  assert.equal(response.status, 200);
  return await response.json();
}

async function metricsOf({ origin }: WorkerService): Promise<PrometheusText> {
  return new PrometheusText(await (await fetch(`${origin}/metrics`)).text());
}

const steps: Record<string, Step> = {
  async "One read a tick serves the clients of both workers"(databases) {
    await databases.write("acme", [
      { deviceId: "dev-1", timestamp: instant(), metrics: { v: 1 } },
      { deviceId: "dev-2", timestamp: instant(), metrics: { v: 2 } },
    ]);
    await databases.openAlert("acme", "for both");
    await using service = await startWorkers(databases);
    const clients = await spread(service, { tenantId: "acme", each: 5 });
    await Promise.all(clients.map(async (client, index) => {
      await client.subscribe(`dev-${index % 2 + 1}`);
      await client.ask({ action: "subscribe", type: "alerts" });
    }));
    await Promise.all(clients.map((client) => client.push("alerts")));
    const [first] = clients;
    assert(first !== undefined);
    await first.push("alerts");
    const before = [databases.telemetryReads.count, databases.alertReads.count] as const;
    const received = clients.map(({ texts }) => texts.length);
    const startedAt = performance.now();
    for (let tick = 0; tick < 6; tick++) await first.push("alerts");
    const ticks = Math.floor((performance.now() - startedAt) / POLL_MS) + 1;
    const telemetry = databases.telemetryReads.count - before[0];
    const alerts = databases.alertReads.count - before[1];
    // A busy machine may leave ticks out, never add any; one read more may be on its way at either end.
    const said = `${telemetry} and ${alerts} reads in ${ticks} ticks`;
    assert(telemetry >= 1 && telemetry <= ticks + 1, said);
    assert(alerts >= 5 && alerts <= ticks + 1, said);
    await until(
      () => clients.every(({ texts }, index) => texts.length - (received[index] ?? 0) >= 6),
      { what: `pushes to everybody: ${said}` },
    );
    await closeAll(service, clients);
  },

  async "Limits, stream status and metrics are those of both workers together"(databases) {
    const settings = { MAX_CONNECTIONS_PER_TENANT: "12", ALERT_NOTIFY_CHANNEL: "fleet_alert" };
    await using service = await startWorkers(databases, settings);
    const clients = await spread(service, { tenantId: "acme", each: 2 });
    while (clients.length < 12) clients.push(await service.connect());
    await Promise.all(clients.map((client) => client.subscribe("dev-1")));
    for (let nth = 0; nth < 4; nth++) {
      await using late = await service.connect();
      assert.equal((await late.closed).code, 1013);
    }
    const { connections, subscriptions, limits, feed } = await statusOf(service);
    assert.deepEqual(connections, { websocket: 12, events: 0 });
    assert.equal(subscriptions.device, 12);
    assert.deepEqual(limits.connections_per_tenant, { value: 12, used: 12 });
    assert.deepEqual(limits.subscriptions.used, 1);
    assert.deepEqual([feed.state, feed.devices], ["running", 1]);
    const metrics = await metricsOf(service);
    const shown = (name: string, labels = {}) => metrics.value(`pulsewire_${name}`, labels);
    assert.equal(shown("connections", { transport: "websocket" }), 12);
    assert.equal(shown("subscriptions", { kind: "device" }), 12);
    assert.equal(shown("handshakes_total", { outcome: "admitted" }), 12);
    assert.equal(shown("limit_crossings_total", { limit: "connections_per_tenant" }), 4);
    assert.equal(shown("feeds"), 1);
    assert.equal(shown("listening"), 1);
    assert.equal(shown("build_info", { version: VERSION }), 1);
    const startedAt = shown("start_time_seconds") ?? 0;
    assert(Math.abs(startedAt - Date.now() / 1_000) < 3_600, `started at ${startedAt}`);
    await clients.pop()?.close();
    await until(async () => (await seatsOf(service)) === 11);
    await using next = await service.connect();
    assert.equal((await next.ask({ action: "ping" })).type, "pong");
    await next.close();
    await closeAll(service, clients);
  },

  async "A ticket that one worker gave opens one socket in all"(databases) {
    await using service = await startWorkers(databases);
    for (let nth = 0; nth < 3; nth++) {
      const response = await fetch(`${service.origin}/api/v2/ws-ticket`, {
        method: "POST",
        headers: { authorization: `Bearer ${await signToken()}` },
      });
      const { ticket } = await response.json();
      const clients = await Promise.all(
        Array.from({ length: 8 }, () => TestClient.connect(service.socketUrl(`ticket=${ticket}`))),
      );
      const fates = await Promise.all(clients.map((client) => {
        client.send({ action: "ping" });
        const pong = client.next(({ type }) => type === "pong").then(() => "in", () => "out");
        return Promise.race([pong, client.closed.then(({ code }) => code)]);
      }));
      assert.deepEqual(fates.filter((fate) => fate === "in").length, 1);
      assert.deepEqual(fates.filter((fate) => fate === 4001).length, 7);
      await closeAll(service, clients);
    }
  },

  async "Devices, alerts and readiness over HTTP are the same from either worker"(databases) {
    await using service = await startWorkers(databases);
    const headers = { authorization: `Bearer ${await signToken()}`, connection: "close" };
    const answers = new Set<string>();
    for (let nth = 0; nth < 12; nth++) {
      const paths = ["/api/v2/devices", "/api/v2/devices/dev-1/telemetry/latest", "/api/v2/alerts"];
      for (const path of paths) {
        const response = await fetch(service.origin + path, { headers });
        assert.equal(response.status, 200);
        answers.add(`${path} ${await response.text()}`);
      }
      const ready = await fetch(`${service.origin}/readyz`, { headers });
      assert.equal(`${ready.status} ${(await ready.json()).status}`, "200 ready");
      assert.equal(await (await fetch(`${service.origin}/livez`, { headers })).text(), "ok\n");
    }
    assert.equal(answers.size, 3);
    const [devices] = answers;
    assert.match(devices ?? "", /dev-1.*dev-2|dev-2.*dev-1/);
  },

  async "A worker that ends gives its seats back and comes again, and its clients miss nothing"(
    databases,
  ) {
    await using service = await startWorkers(databases);
    const given = new Map<PulsewireClient, string[]>();
    const stands: TestClient[] = [];
    try {
      while ((await countsOf(service, "acme")).some((count) => count < 3)) {
        const client = new PulsewireClient(service.socketUrl("").replace("?", ""), {
          token: () => signToken(),
          timings: { baseMs: 40, minMs: 10, maxMs: 500 },
        });
        const samples: string[] = [];
        given.set(client, samples);
        client.device("dev-every", { mode: "every", historySeconds: 60 }, ({ timestamp }) => {
          samples.push(timestamp);
        });
        const connected = given.size;
        await until(async () =>
          (await countsOf(service, "acme")).reduce((sum, count) => sum + count, 0) === connected
        );
      }
      const written: string[] = [];
      const write = async () => {
        const timestamp = instant({ nanos: written.length });
        written.push(timestamp);
        await databases.write("acme", [{ deviceId: "dev-every", timestamp, metrics: { v: 1 } }]);
      };
      // Each in a second of its own, as nothing else orders them.
      const next = async () => {
        const second = instant().slice(0, 19);
        await until(() => instant().slice(0, 19) !== second);
        await write();
      };
      await write();
      const isGiven = () =>
        [...given.values()].every((samples) => samples.length === written.length);
      await until(isGiven, { what: "the first sample to all" });

      const [doomed, other] = service.serving.keeper.threads;
      assert(doomed !== undefined && other !== undefined);
      const counted = (await metricsOf(service)).value("pulsewire_handshakes_total", {
        outcome: "admitted",
      }) ?? 0;
      await doomed.terminate();
      await next();
      await until(() => service.log.of("worker_restarted").length > 0);
      assert.deepEqual(
        service.log.of("worker_ended").map(({ fields }) => fields.worker),
        [doomed.number],
      );
      await next();
      await until(isGiven, { what: "every sample to all" });
      for (const samples of given.values()) assert.deepEqual(samples, written);
      await until(async () => (await seatsOf(service)) === given.size, {
        what: "one seat a client",
      });
      const metrics = await metricsOf(service);
      const admitted = metrics.value("pulsewire_handshakes_total", { outcome: "admitted" }) ?? 0;
      assert(admitted > counted, `${admitted} handshakes after ${counted}`);
      // It takes clients again, and the other one was never asked to start.
      stands.push(...await spread(service, { tenantId: "globex", each: 1 }));
      assert.equal(service.log.of("worker_restarted").length, 1);
    } finally {
      for (const client of given.keys()) client.close();
      await Promise.all(stands.map((client) => client.close()));
      await until(async () => (await seatsOf(service)) === 0);
    }
  },
};

const missing = leftOut();
Deno.test({
  name: `Two workers on one port and on real databases${missing === null ? "" : ` (${missing})`}`,
  ignore: missing !== null,
  async fn(t) {
    await using databases = await Databases.open();
    for (const [name, step] of Object.entries(steps)) await t.step(name, () => step(databases));
  },
});
