// What clients that asked for notices are told of their sources and devices, each thing once.
import assert from "node:assert/strict";
import { type FakeSources, outage } from "../support/fake_sources.ts";
import { sampleAt } from "../support/samples.ts";
import {
  type ConnectionsFixture,
  connectionsFixture,
  HIGH_WATER_BYTES,
  POLL_MS,
} from "./connections_fixture.ts";

type Source = "telemetry" | "alerts";

/** Sources whose guard says that they are down while they fail. */
function withGuard(): ConnectionsFixture & {
  fail(source: Source): void;
  heal(source: Source): void;
} {
  let since = 0;
  const down = new Set<Source>();
  const stateOf = (source: Source) =>
    down.has(source)
      ? { state: "degraded" as const, since, retryAt: service.clock.now() + 700 }
      : { state: "ok" as const, since, retryAt: null };
  const service = connectionsFixture({
    states: () => ({ telemetry: stateOf("telemetry"), alerts: stateOf("alerts") }),
  });
  const faults = { telemetry: "telemetryFault", alerts: "alertFault" } as const;
  const set = (source: Source, fault: FakeSources["alertFault"]) => {
    since = service.clock.now();
    service.sources[faults[source]] = fault;
  };
  return Object.assign(service, {
    fail(source: Source) {
      down.add(source);
      set(source, outage);
    },
    heal(source: Source) {
      down.delete(source);
      set(source, null);
    },
  });
}

Deno.test("A source's change of state is told once, to those that follow it and asked for notices", async () => {
  using service = withGuard();
  service.sources.put("acme", "dev-1", sampleAt(0));
  const [device, alerts, fleet, all, silent, nobody] = Array.from(
    { length: 6 },
    () => service.connect(),
  );
  assert(device && alerts && fleet && all && silent && nobody);
  for (const client of [device, alerts, fleet, all, nobody]) client.hello("notices");
  device.follow("dev-1");
  alerts.followAlerts();
  fleet.followFleet();
  all.subscribe("*");
  silent.follow("dev-1");
  await service.tick();
  const clients = { device, alerts, fleet, all, silent, nobody };
  const told = () =>
    Object.entries(clients).flatMap(([name, client]) =>
      client.short().filter((text) => text.startsWith("status")).map((text) => `${name}: ${text}`)
    );
  assert.deepEqual(told(), []);
  service.fail("telemetry");
  for (let tick = 0; tick < 3; tick++) await service.tick();
  assert.deepEqual(told(), [
    "device: status telemetry degraded",
    "fleet: status telemetry degraded",
    "all: status telemetry degraded",
  ]);
  service.heal("telemetry");
  for (let tick = 0; tick < 3; tick++) await service.tick();
  assert.deepEqual(told(), [
    "device: status telemetry ok",
    "fleet: status telemetry ok",
    "all: status telemetry ok",
  ]);
  service.fail("alerts");
  await service.tick();
  assert.deepEqual(told(), ["alerts: status alerts degraded", "fleet: status alerts degraded"]);
});

Deno.test("A status says since when, and while degraded when the next attempt is", async () => {
  using service = withGuard();
  const client = service.connect();
  client.hello("notices");
  client.follow("dev-1");
  await service.tick();
  client.take();
  service.fail("telemetry");
  const since = new Date(service.clock.now()).toISOString();
  await service.tick();
  assert.deepEqual(client.take(), [
    { type: "status", source: "telemetry", state: "degraded", since, retry_in_ms: 700 },
  ]);
  service.heal("telemetry");
  const healed = new Date(service.clock.now()).toISOString();
  await service.tick();
  assert.deepEqual(client.take()[0], {
    type: "status",
    source: "telemetry",
    state: "ok",
    since: healed,
  });
});

Deno.test("Who comes in the middle of a long outage is told when the next attempt is, too", async () => {
  using service = withGuard();
  const early = service.connect();
  early.hello("notices");
  early.follow("dev-1");
  await service.tick();
  service.fail("telemetry");
  const since = new Date(service.clock.now()).toISOString();
  for (let tick = 0; tick < 60; tick++) await service.tick();
  const late = service.connect();
  late.hello("notices");
  late.follow("dev-1");
  assert.deepEqual(late.take().filter(({ type }) => type === "status"), [
    { type: "status", source: "telemetry", state: "degraded", since, retry_in_ms: 200 },
  ]);
  assert.equal(early.short().filter((message) => message.startsWith("status")).length, 1);
});

Deno.test("Who begins to follow a degraded source, or to ask for notices, is told at once", async () => {
  using service = withGuard();
  const client = service.connect();
  client.follow("dev-1");
  service.fail("telemetry");
  await service.tick();
  assert.deepEqual(client.short(), ["subscribed dev-1"]);
  client.hello("notices");
  assert.deepEqual(client.short(), ["hello", "status telemetry degraded"]);
  client.hello("notices");
  client.follow("dev-2");
  assert.deepEqual(client.short(), ["hello", "subscribed dev-2"], "once");
  const late = service.connect();
  late.hello("notices");
  late.followAlerts();
  assert.deepEqual(late.short(), ["hello", "subscribed alerts"]);
  late.subscribe("*");
  assert.deepEqual(late.short(), ["subscribed *", "status telemetry degraded"]);
});

Deno.test("Who did not follow the source while it recovered is told when it follows it again", async () => {
  using service = withGuard();
  const client = service.connect();
  service.connect().follow("dev-1");
  client.hello("notices");
  client.follow("dev-1");
  service.fail("telemetry");
  await service.tick();
  client.unfollow("dev-1");
  service.heal("telemetry");
  await service.tick();
  await service.tick();
  client.take();
  client.follow("dev-1");
  assert.deepEqual(client.short(), ["subscribed dev-1", "status telemetry ok"]);
});

Deno.test("Without notices in a later hello nothing is told, and with them again what is so then", async () => {
  using service = withGuard();
  const client = service.connect();
  client.hello("notices");
  client.follow("dev-1");
  service.fail("telemetry");
  await service.tick();
  client.hello();
  service.heal("telemetry");
  await service.tick();
  client.take();
  client.hello("notices");
  assert.deepEqual(client.short(), ["hello"], "it is well, as who was told nothing takes it to be");
});

Deno.test("A device that fell silent is told once, until it has reported and fallen silent anew", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(-298));
  const client = service.connect();
  client.hello("notices");
  client.subscribe("dev-1", { changes_only: true });
  await service.tick();
  assert.deepEqual(client.short(), ["hello", "subscribed dev-1", "dev-1 -298"]);
  for (let tick = 0; tick < 4; tick++) await service.tick();
  assert.deepEqual(client.short(), ["stale dev-1 -298"]);
  service.sources.put("acme", "dev-1", sampleAt(-294));
  await service.tick();
  assert.deepEqual(client.short(), ["dev-1 -294"]);
  for (let tick = 0; tick < 4; tick++) await service.tick();
  assert.deepEqual(client.short(), ["stale dev-1 -294"]);
});

Deno.test("Who subscribes to a silent device is told at once, in every mode, also of one never seen", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "old", sampleAt(-400));
  const client = service.connect();
  client.hello("notices");
  client.subscribe("old", { mode: "every" });
  client.follow("unseen");
  const core = service.connect();
  core.follow("unseen");
  await service.tick();
  await service.tick();
  const stale = client.short().filter((text) => text.startsWith("stale"));
  assert.deepEqual(stale, ["stale old -400", "stale unseen null"]);
  assert.deepEqual(core.short(), ["subscribed unseen"]);
});

Deno.test("A silence that was too long known once a full socket was drained is told with the next read", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(-299));
  const client = service.connect();
  client.hello("notices");
  client.subscribe("dev-1", { changes_only: true });
  await service.clock.advance(100);
  client.take();
  client.socket.bufferedBytes = HIGH_WATER_BYTES;
  await service.clock.advance(3 * POLL_MS);
  service.sources.telemetryFault = outage;
  await service.clock.advance(2 * POLL_MS);
  client.socket.bufferedBytes = 0;
  client.followAlerts();
  await service.clock.advance(10);
  assert.deepEqual(client.short(), ["subscribed alerts", "alerts []"], "what is old is not told");
  service.sources.telemetryFault = null;
  await service.tick();
  await service.tick();
  assert.deepEqual(client.short().filter((text) => text !== "alerts []"), ["stale dev-1 -299"]);
});

Deno.test("A silence that a full socket missed is told once it is drained", async () => {
  using service = connectionsFixture();
  service.sources.put("acme", "dev-1", sampleAt(-299));
  const client = service.connect();
  client.hello("notices");
  client.subscribe("dev-1", { changes_only: true });
  await service.clock.advance(100);
  client.take();
  client.socket.bufferedBytes = HIGH_WATER_BYTES;
  await service.clock.advance(3 * POLL_MS);
  client.socket.bufferedBytes = 0;
  await service.tick();
  await service.tick();
  assert.deepEqual(client.short(), ["stale dev-1 -299"]);
});
