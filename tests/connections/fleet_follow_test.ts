// The counts of a tenant's fleet: at once, and then only when one of them changed.
import assert from "node:assert/strict";
import { alertOf, sampleAt } from "../support/samples.ts";
import { connectionsFixture, HIGH_WATER_BYTES, PHASE_MS, POLL_MS } from "./connections_fixture.ts";

Deno.test("The counts come at once, and again only at a tick that finds them changed", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(-1));
  service.sources.put("acme", "dev-2", sampleAt(-400));
  service.sources.setAlerts("acme", [alertOf(2), alertOf(1, { severity: null })]);
  const client = service.connect();
  client.followFleet();
  await service.clock.advance(PHASE_MS - 1);
  const [answer, ...counts] = client.take();
  assert.deepEqual(answer, { type: "subscribed", channel: "fleet" });
  assert.deepEqual(counts.at(-1), {
    type: "fleet",
    devices: { total: 2, online: 1, stale: 1 },
    alerts: { open: 2, by_severity: { "3": 1, none: 1 } },
  });
  for (let tick = 0; tick < 3; tick++) {
    service.sources.put("acme", "dev-1", sampleAt(tick));
    await service.tick();
  }
  assert.deepEqual(client.short(), [], "other values, the same counts");
  service.sources.setAlerts("acme", []);
  await service.tick();
  assert.deepEqual(client.short(), ["fleet 1+1 0"]);
});

Deno.test("Counts that a full socket missed come once it is drained, the newest only", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(-1));
  const client = service.connect();
  client.followFleet();
  await service.tick();
  client.take();
  client.socket.bufferedBytes = HIGH_WATER_BYTES;
  for (const alertId of [1, 2, 3]) {
    service.sources.setAlerts("acme", [alertOf(alertId)]);
    service.sources.put("acme", `new-${alertId}`, sampleAt(alertId));
    await service.tick();
  }
  client.socket.bufferedBytes = 0;
  await service.tick();
  await service.tick();
  assert.deepEqual(client.short(), ["fleet 4+0 1"]);
});

Deno.test("Subscribing again brings the counts again, from a young state without a read, and counts once", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(-1));
  const client = service.connect();
  client.followFleet();
  await service.clock.advance(PHASE_MS);
  client.take();
  service.sources.telemetryReads.length = 0;
  client.followFleet();
  const other = service.connect();
  other.followFleet();
  await service.clock.advance(POLL_MS / 2);
  assert.deepEqual(client.short(), ["subscribed fleet", "fleet 1+0 0"]);
  assert.deepEqual(other.short(), ["subscribed fleet", "fleet 1+0 0"]);
  assert.deepEqual(service.sources.telemetryReads, []);
  const interest = service.feeds.interestOf("acme");
  assert.equal(interest?.fleetFollowers, 2);
  client.unfollowFleet();
  client.unfollowFleet();
  other.leave();
  assert.equal(interest?.fleetFollowers, 0);
  await service.clock.advance(2 * POLL_MS);
  assert.deepEqual(client.short(), ["unsubscribed fleet", "unsubscribed fleet"]);
  assert.deepEqual(service.sources.telemetryReads, [], "and nobody reads for nobody");
});
