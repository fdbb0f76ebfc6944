// Following a tenant's alerts in other ways than the core list: some devices' only, only when it changed, or what changed.
import assert from "node:assert/strict";
import { outage } from "../support/fake_sources.ts";
import { closed, opened, table } from "./alert_table.ts";
import { connectionsFixture, HIGH_WATER_BYTES, PHASE_MS, POLL_MS } from "./connections_fixture.ts";

Deno.test("In mode changes the whole list comes once, then what opened, changed and closed, and nothing else", async () => {
  using service = connectionsFixture();
  table(service, opened(2, -50), opened(1, -60));
  const client = service.connect();
  client.subscribeAlerts({ mode: "changes", id: 1 });
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(client.short(), ["subscribed alerts #1", "alerts [2,1]"]);
  await service.tick();
  assert.deepEqual(client.short(), []);
  table(service, opened(3, 1), opened(2, -50, { severity: 9 }), closed(opened(1, -60), 1));
  await service.tick();
  assert.deepEqual(client.short(), ["changes +[3] ~[2] -[1]"]);
  await service.tick();
  assert.deepEqual(client.short(), []);
});

Deno.test("An alert that opened and closed between two reads is told once, in both lists", async () => {
  using service = connectionsFixture();
  const client = service.connect();
  client.subscribeAlerts({ mode: "changes" });
  await service.tick();
  table(service, closed(opened(9, 0.6), 0.8));
  await service.tick();
  await service.tick();
  assert.deepEqual(client.short(), ["subscribed alerts", "alerts []", "changes +[9] ~[] -[9]"]);
});

Deno.test("All who follow every alert's changes share one frame, and cost one read", async () => {
  using service = connectionsFixture();
  const clients = [1, 2, 3].map(() => {
    const client = service.connect();
    client.subscribeAlerts({ mode: "changes" });
    return client;
  });
  await service.tick();
  for (const client of clients) client.take();
  service.sources.alertStateReads.length = 0;
  table(service, opened(1, 1));
  await service.tick();
  const frames = new Set(clients.flatMap(({ socket }) => socket.take()));
  assert.equal(frames.size, 1);
  assert.equal(service.sources.alertStateReads.length, 1);
  assert.equal(service.sources.alertReads.length, 0);
});

Deno.test("With device_ids only their alerts are told, by list and by changes", async () => {
  using service = connectionsFixture();
  const mine = opened(1, -60, { device_id: "dev-1" });
  const others = [opened(2, -50, { device_id: "dev-2" }), opened(3, -40, { device_id: null })];
  table(service, ...others, mine);
  const list = service.connect();
  list.subscribeAlerts({ device_ids: ["dev-1", "dev-3"] });
  const changes = service.connect();
  changes.subscribeAlerts({ device_ids: ["dev-1", "dev-3"], mode: "changes" });
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(list.short(), ["subscribed alerts", "alerts [1]"]);
  assert.deepEqual(changes.short(), ["subscribed alerts", "alerts [1]"]);
  table(
    service,
    opened(5, 1, { device_id: "dev-3" }),
    opened(4, 1, { device_id: "dev-2" }),
    ...others.map((alert) => closed(alert, 1)),
    closed(mine, 1),
  );
  await service.tick();
  assert.deepEqual(list.short(), ["alerts [5]"]);
  assert.deepEqual(changes.short(), ["changes +[5] ~[] -[1]"]);
});

Deno.test("An alert that comes to another device is told as opened or closed to who follows some", async () => {
  using service = connectionsFixture();
  table(service, opened(2, -50, { device_id: "dev-2" }), opened(1, -60, { device_id: "dev-1" }));
  const client = service.connect();
  client.subscribeAlerts({ device_ids: ["dev-1"], mode: "changes" });
  await service.tick();
  client.take();
  table(service, opened(2, -50, { device_id: "dev-1" }), opened(1, -60, { device_id: "dev-2" }));
  await service.tick();
  assert.deepEqual(client.short(), ["changes +[2] ~[] -[1]"]);
});

Deno.test("With changes_only the list comes only when it changed for this client", async () => {
  using service = connectionsFixture();
  table(service, opened(1, -60, { device_id: "dev-1" }));
  const all = service.connect();
  all.subscribeAlerts({ changes_only: true });
  const some = service.connect();
  some.subscribeAlerts({ changes_only: true, device_ids: ["dev-1"] });
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(all.short(), ["subscribed alerts", "alerts [1]"]);
  assert.deepEqual(some.short(), ["subscribed alerts", "alerts [1]"]);
  await service.tick();
  await service.tick();
  assert.deepEqual([...all.short(), ...some.short()], []);
  table(service, opened(2, 1, { device_id: "dev-2" }), opened(1, -60, { device_id: "dev-1" }));
  await service.tick();
  assert.deepEqual(all.short(), ["alerts [2,1]"]);
  assert.deepEqual(some.short(), []);
});

Deno.test("A list that was too old once a full socket was drained comes with the next read", async () => {
  using service = connectionsFixture();
  table(service, opened(1, -60));
  const client = service.connect();
  client.subscribeAlerts({ changes_only: true });
  await service.clock.advance(PHASE_MS - 1);
  client.take();
  client.socket.bufferedBytes = HIGH_WATER_BYTES;
  table(service, opened(2, 1), opened(1, -60));
  await service.tick();
  service.sources.alertFault = outage;
  await service.clock.advance(2 * POLL_MS);
  client.socket.bufferedBytes = 0;
  client.follow("dev-1");
  await service.clock.advance(10);
  assert.deepEqual(client.short(), ["subscribed dev-1"], "what is old is not sent");
  service.sources.alertFault = null;
  await service.tick();
  assert.deepEqual(client.short(), ["alerts [2,1]"]);
});

Deno.test("A list longer than what is followed says so, and one that falls off is not called closed", async () => {
  using service = connectionsFixture({ maxOpenAlerts: 3 });
  const alerts = [4, 3, 2, 1].map((id) => opened(id, id - 100));
  table(service, ...alerts);
  const client = service.connect();
  client.subscribeAlerts({ mode: "changes" });
  const core = service.connect();
  core.followAlerts();
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(client.short(), ["subscribed alerts", "alerts [4,3,2] of 4"]);
  assert.equal(core.short().at(-1), "alerts [4,3,2,1]", "the core's list is what it was");
  table(service, opened(5, 1), ...alerts);
  await service.tick();
  assert.deepEqual(client.short(), ["changes +[5] ~[] -[] of 5"]);
  table(service, ...alerts.map((alert) => alert.alert_id === 2 ? closed(alert, 2) : alert));
  await service.tick();
  assert.deepEqual(client.short(), ["changes +[1] ~[] -[5,2]"]);
});

Deno.test("Ticks that a full socket missed are made up for step by step, without a read", async () => {
  using service = connectionsFixture();
  const client = service.connect();
  client.subscribeAlerts({ mode: "changes" });
  await service.tick();
  client.take();
  client.socket.bufferedBytes = HIGH_WATER_BYTES;
  table(service, opened(1, 1));
  await service.tick();
  table(service, opened(2, 2), opened(1, 1, { severity: 9 }));
  await service.tick();
  table(service, opened(2, 2), closed(opened(1, 1), 3));
  await service.tick();
  client.socket.bufferedBytes = 0;
  service.sources.alertStateReads.length = 0;
  await service.tick();
  assert.deepEqual(client.short(), [
    "changes +[1] ~[] -[]",
    "changes +[2] ~[1] -[]",
    "changes +[] ~[] -[1]",
  ]);
  assert.equal(service.sources.alertStateReads.length, 1, "the tick's");
});

Deno.test("A client that lagged for long is told once what came, changed and went meanwhile", async () => {
  using service = connectionsFixture({ slowClientMs: Infinity });
  table(service, opened(2, -50), opened(1, -60));
  const client = service.connect();
  client.subscribeAlerts({ mode: "changes" });
  await service.tick();
  client.take();
  client.socket.bufferedBytes = HIGH_WATER_BYTES;
  for (let second = 1; second <= 100; second++) {
    // Each of them opens, and closes 30 seconds later.
    const others = Array.from({ length: second }, (_, index) => opened(100 + index, index + 1));
    table(
      service,
      ...others.map((alert, index) => index + 31 <= second ? closed(alert, index + 31) : alert),
      opened(2, -50, { severity: 9 }),
      closed(opened(1, -60), 1),
    );
    await service.tick();
  }
  assert.deepEqual(client.short(), []);
  client.socket.bufferedBytes = 0;
  await service.tick();
  await service.tick();
  const [message, ...rest] = client.take();
  assert.deepEqual(rest, []);
  assert(message?.type === "alert_changes");
  const ids = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index);
  assert.deepEqual(message.opened.map(({ alert_id }) => alert_id).sort(), ids(100, 199));
  assert.deepEqual(message.updated.map(({ alert_id }) => alert_id), [2]);
  assert.deepEqual([...message.closed].sort((a, b) => a - b), [1, ...ids(100, 169)]);
});

Deno.test("Mode list after mode changes, and back, begins with the whole list each time", async () => {
  using service = connectionsFixture();
  table(service, opened(1, -60));
  const client = service.connect();
  client.subscribeAlerts({ mode: "changes" });
  await service.tick();
  client.followAlerts();
  await service.tick();
  table(service, opened(2, 1), opened(1, -60));
  await service.tick();
  client.subscribeAlerts({ mode: "changes" });
  await service.clock.advance(100);
  assert.deepEqual(client.short(), [
    "subscribed alerts",
    "alerts [1]",
    "subscribed alerts",
    "alerts [1]",
    "alerts [1]",
    "alerts [2,1]",
    "subscribed alerts",
    "alerts [2,1]",
  ]);
  const interest = service.feeds.interestOf("acme");
  assert.equal(interest?.alertFollowers, 0);
  assert.equal(interest?.alertChangeFollowers, 1);
  client.unfollowAlerts();
  assert.equal(interest?.alertChangeFollowers, 0);
});

Deno.test("What changes while the followers of changes themselves change is told to all who stay", async () => {
  using service = connectionsFixture();
  const core = service.connect();
  core.followAlerts();
  const fleet = service.connect();
  fleet.followFleet();
  await service.clock.advance(PHASE_MS);
  // The feed forgets its place with the last who needs it, just as another comes and finds a young state.
  fleet.unfollowFleet();
  const client = service.connect();
  client.subscribeAlerts({ mode: "changes" });
  await service.clock.advance(0);
  table(service, opened(1, 0.6));
  await service.clock.advance(2 * POLL_MS);
  const texts = client.short();
  assert.ok(texts.includes("alerts [1]") || texts.includes("changes +[1] ~[] -[]"), texts.join());
});

Deno.test("A first list of changes that grew old in a full socket is not sent: the next read's is", async () => {
  using service = connectionsFixture();
  table(service, opened(1, -60));
  const client = service.connect();
  client.socket.bufferedBytes = HIGH_WATER_BYTES;
  client.subscribeAlerts({ mode: "changes" });
  // Its ticks wake the loop, whatever becomes of the alerts.
  client.follow("dev-1");
  await service.clock.advance(PHASE_MS - 1);
  client.take();
  const fault = new Error("Gone");
  service.sources.alertFault = () => fault;
  await service.clock.advance(3 * POLL_MS);
  client.socket.bufferedBytes = 0;
  await service.tick();
  assert.deepEqual(client.short(), []);
  service.sources.alertFault = null;
  await service.clock.advance(60 * POLL_MS);
  assert.deepEqual(client.short(), ["alerts [1]"]);
});
