import assert from "node:assert/strict";
import { fakeSources, outage } from "../support/fake_sources.ts";
import { startService, type TestService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { EventClient } from "../events/event_client.ts";

async function statusOf(service: TestService, claims: Record<string, unknown> = {}) {
  const response = await fetch(`${service.origin}/api/v2/stream/status`, {
    headers: { authorization: `Bearer ${await signToken(claims)}` },
  });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("cache-control"), "no-store");
  return await response.json();
}

Deno.test("The status counts what the token's tenant has open, sockets and streams, and nobody else's", async () => {
  const sources = fakeSources();
  await using service = await startService({ sources });
  await using one = await service.connect({ tenant_id: "acme" });
  await using _other = await service.connect({ tenant_id: "acme", sub: "user-2" });
  await using foreign = await service.connect({ tenant_id: "globex" });
  const token = await signToken({ tenant_id: "acme" });
  await using _stream = await EventClient.open(
    `${service.origin}/api/v2/events?device_id=dev-9&alerts=1&token=${token}`,
  );
  one.send({ action: "subscribe", type: "device", device_id: "dev-1" });
  one.send({ action: "subscribe", type: "device", device_id: "dev-2" });
  for (const id of ["dev-1", "dev-2", "dev-3"]) {
    foreign.send({ action: "subscribe", type: "device", device_id: id });
  }
  await until(() => service.app.feeds.interestOf("acme")?.deviceCount === 3);
  await until(() => service.app.feeds.interestOf("globex")?.deviceCount === 3);
  const status = await statusOf(service, { tenant_id: "acme" });
  assert.equal(status.tenant_id, "acme");
  assert.deepEqual(status.connections, { websocket: 2, events: 1 });
  assert.deepEqual(status.subscriptions, { device: 3, all_devices: 0, alerts: 1, fleet: 0 });
  assert.equal(status.feed.state, "running");
  assert.equal(status.feed.devices, 3);
  assert.deepEqual(status.limits.connections_per_tenant, { value: 10_000, used: 3 });
  assert.deepEqual(status.limits.connections_per_user, { value: 200, used: 2 });
  assert.deepEqual(status.limits.subscriptions, { value: 500, used: 2 });
  assert.doesNotMatch(JSON.stringify(status), /globex|user-2|dev-/);
});

Deno.test("The status says since when a source fails the tenant, and when it is tried again", async () => {
  const sources = fakeSources();
  sources.telemetryFault = () => new TypeError("Answer can't be understood");
  await using service = await startService({
    sources,
    settings: { MAX_REQUESTS_PER_SECOND: "100000", MAX_HANDSHAKES_PER_SECOND: "100000" },
  });
  await using client = await service.connect({ tenant_id: "acme" });
  client.send({ action: "subscribe", type: "device", device_id: "dev-1" });
  await until(async () => {
    const { feed } = await statusOf(service, { tenant_id: "acme" });
    return feed.sources.telemetry?.state === "degraded";
  });
  const { feed } = await statusOf(service, { tenant_id: "acme" });
  assert.ok(!Number.isNaN(Date.parse(feed.sources.telemetry.since)));
  assert.equal(typeof feed.sources.telemetry.retry_in_ms, "number");
  assert.equal(feed.sources.alerts, null);
});

Deno.test("A tenant that nobody follows is idle, and an outage is not asked of the databases", async () => {
  const sources = fakeSources();
  sources.telemetryFault = outage;
  sources.alertFault = outage;
  await using service = await startService({ sources });
  const { feed, connections } = await statusOf(service, { tenant_id: "nobody" });
  assert.deepEqual(feed, { state: "idle", devices: 0, sources: { telemetry: null, alerts: null } });
  assert.deepEqual(connections, { websocket: 0, events: 0 });
  assert.deepEqual([sources.telemetryReads, sources.alertReads], [[], []]);
});

Deno.test("Without a bearer token the status tells nothing", async () => {
  await using service = await startService({ sources: fakeSources() });
  const url = `${service.origin}/api/v2/stream/status`;
  for (const path of [url, `${url}?token=${await signToken({})}`]) {
    const response = await fetch(path);
    assert.equal(response.status, 401);
    assert.doesNotMatch(await response.text(), /connections/);
  }
  const posted = await fetch(url, { method: "POST" });
  assert.equal(posted.status, 405);
  await posted.body?.cancel();
});
