// The features batch and as_of: what one tick has for a client as one frame, and when the database was read; and that
// who did not ask for them sees nothing of either.
import assert from "node:assert/strict";
import { alertOf, sampleAt } from "../support/samples.ts";
import {
  type ConnectionsFixture,
  connectionsFixture,
  HIGH_WATER_BYTES,
  PHASE_MS,
} from "./connections_fixture.ts";

function withData(): ConnectionsFixture {
  const service = connectionsFixture();
  for (const deviceId of ["dev-1", "dev-2"]) service.sources.put("acme", deviceId, sampleAt(0));
  service.sources.setAlerts("acme", [alertOf(1)]);
  return service;
}

/** The instant at which the last tick read. */
function tickedAt(service: ConnectionsFixture): string {
  const now = service.clock.now();
  return new Date(now - now % 1_000 + (now % 1_000 < PHASE_MS ? PHASE_MS - 1_000 : PHASE_MS))
    .toISOString();
}

Deno.test("All that a tick has for a connection is one frame, dated once, its messages as they were alone", async () => {
  using service = withData();
  const client = service.connect();
  const core = service.connect();
  client.hello("batch");
  for (const one of [client, core]) {
    one.follow("dev-1");
    one.follow("dev-2");
    one.followAlerts();
  }
  await service.clock.advance(PHASE_MS - 1);
  client.take();
  core.take();
  await service.tick();
  const messages = core.texts();
  assert.equal(messages.length, 3);
  assert.deepEqual(client.texts(), [
    `{"type":"batch","as_of":"${tickedAt(service)}","messages":[${messages.join()}]}`,
  ]);
});

Deno.test("A batch of one is a batch, and a tick that has nothing sends none", async () => {
  using service = withData();
  const client = service.connect();
  client.hello("batch", "as_of");
  client.subscribe("dev-1", { changes_only: true });
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(client.short(), ["hello", "subscribed dev-1", "batch (dev-1 0)"]);
  await service.tick();
  assert.deepEqual(client.short(), []);
  service.sources.put("acme", "dev-1", sampleAt(1));
  await service.tick();
  const [text] = client.texts();
  assert.equal(text?.match(/as_of/g)?.length, 1, "once at the top");
});

Deno.test("Those who have the same due in a tick are sent one batch, the others batches of their own", async () => {
  using service = withData();
  const [fewer, one, same, turned] = [0, 1, 2, 3].map(() => service.connect());
  for (const client of [one, same, turned, fewer]) client?.hello("batch");
  for (const client of [one, same]) {
    client?.follow("dev-1");
    client?.follow("dev-2");
  }
  turned?.follow("dev-2");
  turned?.follow("dev-1");
  fewer?.follow("dev-1");
  await service.clock.advance(PHASE_MS - 1);
  for (const client of [one, same, turned, fewer]) client?.take();
  const batches: unknown[] = [];
  for (const seconds of [1, 2]) {
    for (const deviceId of ["dev-1", "dev-2"]) {
      service.sources.put("acme", deviceId, sampleAt(seconds));
    }
    await service.tick();
    const [mine] = one?.socket.take() ?? [];
    assert.equal(same?.socket.take()[0], mine, "shared");
    assert.deepEqual(
      [mine, ...[turned, fewer].map((client) => client?.socket.take()[0])].map((frame) =>
        frame?.message.type === "batch"
          ? frame.message.messages.map((message) =>
            message.type === "telemetry" ? [message.device_id, message.data] : message
          )
          : null
      ),
      [["dev-1", "dev-2"], ["dev-2", "dev-1"], ["dev-1"]].map((deviceIds) =>
        deviceIds.map((deviceId) => [deviceId, sampleAt(seconds)])
      ),
    );
    batches.push(mine);
  }
  assert.notEqual(batches[0], batches[1]);
});

Deno.test("Among more different batches than are kept for others each client has its own", async () => {
  using service = withData();
  const deviceIds = Array.from({ length: 40 }, (_, nth) => `dev-${nth}`);
  const clients = deviceIds.map((deviceId) => {
    service.sources.put("acme", deviceId, sampleAt(0));
    const client = service.connect();
    client.hello("batch");
    client.follow(deviceId);
    return client;
  });
  await service.clock.advance(PHASE_MS - 1);
  for (const client of clients) client.take();
  await service.tick();
  const sent = clients.map((client) => client.short());
  assert.deepEqual(sent, deviceIds.map((deviceId) => [`batch (${deviceId} 0)`]));
});

Deno.test("A batch is left out as a whole where it does not fit", async () => {
  using service = withData();
  const client = service.connect();
  client.hello("batch");
  client.follow("dev-1");
  client.follow("dev-2");
  await service.clock.advance(PHASE_MS - 1);
  client.take();
  client.socket.bufferedBytes = HIGH_WATER_BYTES - 200;
  await service.tick();
  assert.deepEqual(client.short(), []);
  client.socket.bufferedBytes = 0;
  await service.tick();
  assert.deepEqual(client.short(), ["batch (dev-1 0, dev-2 0)"]);
});

Deno.test("With as_of every push says last when its read began, in a frame that is shared", async () => {
  using service = withData();
  const clients = [service.connect(), service.connect()];
  for (const client of clients) {
    client.hello("as_of");
    client.follow("dev-1");
    client.subscribe("dev-2", { metrics: ["temp_c"] });
    client.followAlerts();
    client.followFleet();
  }
  await service.clock.advance(PHASE_MS - 1);
  for (const client of clients) client.take();
  service.sources.setAlerts("acme", []);
  await service.tick();
  const [mine = [], theirs] = clients.map(({ socket }) => socket.take());
  assert.equal(mine.length, 4);
  assert.deepEqual(mine, theirs);
  for (const [index, frame] of mine.entries()) assert.equal(frame, theirs?.[index], "shared");
  const end = `,"as_of":"${tickedAt(service)}"}`;
  for (const { text } of mine) assert.ok(text?.endsWith(end), text ?? "");
});

Deno.test("stale comes in the batch, other notices and answers by themselves", async () => {
  using service = withData();
  service.sources.put("acme", "old", sampleAt(-400));
  const client = service.connect();
  client.hello("batch", "notices");
  client.follow("old");
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(client.short(), ["hello", "subscribed old", "batch (stale old -400, old -400)"]);
});

Deno.test("A core client's texts are the same whoever else follows its tenant, and in whatever way", async () => {
  // Between devices and alerts no order is promised, and each is read by itself at first.
  const conversation = async (withOthers: boolean): Promise<readonly string[][]> => {
    using service = withData();
    const core = service.connect();
    const others = withOthers ? [0, 1, 2].map(() => service.connect()) : [];
    core.follow("dev-1");
    core.followAlerts();
    const [every, changes, fleet] = others;
    for (const other of others) other.hello("notices", "batch", "as_of");
    every?.subscribe("*", { mode: "every", since: sampleAt(-60).timestamp });
    every?.subscribe("dev-1", { mode: "every", metrics: ["volts"] });
    changes?.subscribeAlerts({ mode: "changes", device_ids: ["dev-1"] });
    changes?.subscribe("dev-1", { changes_only: true, metrics: ["temp_c"] });
    fleet?.followFleet();
    const ticks: string[][] = [];
    for (let tick = 0; tick < 6; tick++) {
      if (tick % 2 === 0) service.sources.put("acme", "dev-1", sampleAt(tick));
      service.sources.setAlerts("acme", tick % 3 === 0 ? [] : [alertOf(tick)]);
      await service.tick();
      ticks.push(core.texts().sort());
    }
    core.unfollow("dev-1");
    core.unfollowAlerts();
    await service.tick();
    return [...ticks, core.texts()];
  };
  const alone = await conversation(false);
  assert.ok(alone.flat().length > 14);
  assert.deepEqual(await conversation(true), alone);
});
