// Interest follows subscriptions, whatever clients do; tenants never meet.
import assert from "node:assert/strict";
import { alertOf, sampleAt } from "../support/samples.ts";
import { connectionsFixture, LINGER_MS, PHASE_MS } from "./connections_fixture.ts";

Deno.test("Subscribing again starts anew with the newest value and counts once", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  const client = service.connect();
  client.follow("dev-1");
  client.followAlerts();
  await service.clock.advance(100);
  assert.deepEqual(client.pushes().sort(), ["alerts", 'dev-1 {"temp_c":1}']);
  client.follow("dev-1");
  client.followAlerts();
  await service.clock.advance(0);
  const interest = service.feeds.interestOf("acme");
  assert.deepEqual(client.pushes(), ['dev-1 {"temp_c":1}', "alerts"], "sent once more");
  assert.equal(interest?.followersOf("dev-1"), 1);
  assert.equal(interest?.alertFollowers, 1);
  client.unfollow("dev-1");
  client.unfollowAlerts();
  assert.equal(interest?.followersOf("dev-1"), 0);
  assert.equal(interest?.alertFollowers, 0);
  client.unfollow("dev-1");
  client.unfollowAlerts();
  assert.equal(interest?.connections, 1, "what nobody follows can be unfollowed");
});

Deno.test("A disconnect takes back all interest, once however often it is told", async () => {
  using service = connectionsFixture();
  const leaver = service.connect();
  const stayer = service.connect();
  for (const client of [leaver, stayer]) {
    client.follow("dev-1");
    client.followAlerts();
  }
  leaver.follow("dev-2");
  const interest = service.feeds.interestOf("acme");
  leaver.leave(1000);
  leaver.leave(1006);
  service.manager.disconnect(leaver.connection, 1006);
  assert.equal(interest?.connections, 1);
  assert.deepEqual(interest?.deviceIds, ["dev-1"]);
  assert.equal(interest?.followersOf("dev-1"), 1);
  assert.equal(interest?.alertFollowers, 1);
  assert.equal(service.manager.connectionCount, 1);
  assert.deepEqual([...service.manager.connections], [stayer.connection]);
  assert.deepEqual([...stayer.connection.group.connections], [stayer.connection]);
  assert.equal(service.log.of("disconnected").length, 1);
  await service.clock.advance(PHASE_MS);
  assert.ok(stayer.pushes().length > 0);
});

Deno.test("A client that answers no close is ended, and keeps no interest where its engine can't do that", async () => {
  using service = connectionsFixture();
  service.connect();
  const client = service.connect();
  client.followAlerts();
  client.connection.close(1011, "Internal error");
  await service.clock.advance(2_000);
  assert.equal(client.socket.isTerminated, false);
  await service.clock.advance(2_000);
  assert.equal(client.socket.isTerminated, true);
  assert.equal(service.connectionCount, 1);
  assert.equal(service.feeds.interestOf("acme")?.alertFollowers, 0);
});

Deno.test("A tenant's group goes with its last connection", () => {
  using service = connectionsFixture();
  const one = service.connect();
  const other = service.connect();
  one.leave();
  assert.equal(service.connect().connection.group, other.connection.group);
  for (const connection of [...service.manager.connections]) {
    service.manager.disconnect(connection, 1000);
  }
  assert.notEqual(service.connect().connection.group, other.connection.group);
});

Deno.test("Subscribing and unsubscribing after a disconnect does nothing", async () => {
  using service = connectionsFixture();
  const { connection, ...client } = service.connect();
  service.manager.disconnect(connection, 1000);
  service.manager.subscribeDevices(connection, { deviceIds: ["dev-1"] });
  service.manager.subscribeAlerts(connection);
  service.manager.unsubscribeDevices(connection, ["dev-1"]);
  service.manager.unsubscribeAlerts(connection);
  assert.equal(connection.devices.size, 0);
  assert.equal(connection.alerts, null);
  await service.clock.advance(LINGER_MS);
  assert.equal(service.feeds.feedCount, 0);
  assert.equal(service.clock.timerCount, 0);
  assert.deepEqual(service.sources.telemetryReads, []);
  assert.deepEqual(client.socket.writes, []);
});

Deno.test("Two tenants with the same device ids never see each other's data", async () => {
  using service = connectionsFixture();
  const tenants = ["acme", "globex"];
  const clients = tenants.map((tenantId) => {
    service.sources.put(tenantId, "dev-1", sampleAt(1, { owner: tenantId }));
    service.sources.setAlerts(tenantId, [alertOf(1, { tenant_id: tenantId })]);
    const client = service.connect(tenantId);
    client.follow("dev-1");
    client.followAlerts();
    return { tenantId, client };
  });
  for (let tick = 0; tick < 3; tick++) {
    await service.tick();
    for (const { tenantId, client } of clients) {
      const messages = client.take();
      assert.ok(messages.length > 0);
      for (const message of messages) {
        if (message.type === "telemetry") {
          assert.deepEqual(message.data.metrics, { owner: tenantId });
        } else if (message.type === "alerts") {
          assert.deepEqual(message.alerts.map(({ tenant_id }) => tenant_id), [tenantId]);
        }
      }
    }
  }
});

Deno.test("A tenant's failure does not hold up another's pushes", async () => {
  using service = connectionsFixture();
  const [mine, theirs] = ["acme", "globex"].map((tenantId) => {
    service.sources.put(tenantId, "dev-1", sampleAt(1));
    const client = service.connect(tenantId);
    client.follow("dev-1");
    return client;
  });
  await service.clock.advance(PHASE_MS - 1);
  service.sources.telemetryFault = ({ tenantId }) =>
    tenantId === "acme" ? new Promise<never>(() => {}) : null;
  mine?.pushes();
  for (let tick = 0; tick < 3; tick++) {
    theirs?.pushes();
    await service.tick();
    assert.deepEqual(mine?.pushes(), []);
    assert.equal(theirs?.pushes().length, 1);
  }
});

Deno.test("Connects and disconnects are logged with tenant and email and nothing else of the token", () => {
  using service = connectionsFixture();
  service.connect().leave(4008);
  const whose = { connection: "c1", tenant: "acme", email: "someone@acme.example" };
  assert.deepEqual(service.log.records, [
    { level: "info", event: "connected", fields: whose },
    { level: "info", event: "disconnected", fields: { ...whose, code: 4008 } },
  ]);
});

Deno.test("A subscription is answered before its first value, also when the value is known", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(1));
  service.connect().follow("dev-1");
  await service.clock.advance(100);
  const client = service.connect();
  client.follow("dev-1");
  await service.clock.advance(0);
  assert.deepEqual(client.take().map(({ type }) => type), ["subscribed", "telemetry"]);
});
