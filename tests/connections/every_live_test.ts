// Mode `every` while a client is there: each stored sample once, whatever its socket takes and whoever else follows.
import assert from "node:assert/strict";
import type { Histories } from "../../src/feed/seam.ts";
import { sampleAt } from "../support/samples.ts";
import {
  type ConnectionsFixture,
  connectionsFixture,
  HIGH_WATER_BYTES,
  PHASE_MS,
  type TestConnection,
} from "./connections_fixture.ts";

/** They never answer. */
const silentHistories: Histories = {
  page: () => new Promise(() => {}),
  earliest: () => new Promise(() => {}),
  alerts: () => new Promise(() => {}),
};

async function followedEvery(
  service: ConnectionsFixture,
  { stored = [-20], fields = {} }: {
    readonly stored?: readonly number[];
    readonly fields?: Readonly<Record<string, unknown>>;
  } = {},
): Promise<TestConnection> {
  store(service, ...stored);
  const client = service.connect();
  client.subscribe("dev-1", { mode: "every", ...fields });
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(client.short(), ["subscribed dev-1"], "the newest one is not sent");
  return client;
}

function store(service: ConnectionsFixture, ...seconds: readonly number[]): void {
  for (const second of seconds) service.sources.put("acme", "dev-1", sampleAt(second));
}

Deno.test("Each sample stored between two ticks is sent once, in order of time", async () => {
  using service = connectionsFixture();
  const client = await followedEvery(service);
  store(service, -3, -1, -2);
  await service.tick();
  assert.deepEqual(client.short(), ["dev-1 -3", "dev-1 -2", "dev-1 -1"]);
  await service.tick();
  assert.deepEqual(client.short(), [], "nothing new, nothing sent");
  store(service, 1);
  await service.tick();
  assert.deepEqual(client.short(), ["dev-1 1"]);
});

Deno.test("A late sample follows newer ones, and one that is stored again or too late is not sent", async () => {
  using service = connectionsFixture();
  const client = await followedEvery(service);
  store(service, 0);
  await service.tick();
  store(service, -5, 0, -15);
  await service.tick();
  assert.deepEqual(client.short(), ["dev-1 0", "dev-1 -5"]);
});

Deno.test("Who follows every sample and who follows the newest cost one read and get their own", async () => {
  using service = connectionsFixture();
  const every = await followedEvery(service);
  const latest = service.connect();
  latest.follow("dev-1");
  store(service, -1);
  await service.tick();
  every.take();
  latest.take();
  service.sources.telemetryReads.length = 0;
  service.sources.historyReads.length = 0;
  store(service, 0, 1);
  await service.tick();
  assert.deepEqual(every.short(), ["dev-1 0", "dev-1 1"]);
  assert.deepEqual(latest.short(), ["dev-1 1"]);
  assert.equal(service.sources.telemetryReads.length + service.sources.historyReads.length, 1);
});

Deno.test("A device that was silent is pushed once at the tick that finds it, also where others follow every sample", async () => {
  using service = connectionsFixture();
  const every = await followedEvery(service);
  const latest = service.connect();
  latest.follow("dev-1");
  await service.tick();
  latest.take();
  store(service, 0, 1);
  await service.tick();
  assert.deepEqual(every.short(), ["dev-1 0", "dev-1 1"]);
  assert.deepEqual(latest.short(), ["dev-1 1"]);
});

Deno.test("Ticks that a full socket missed are made up for from memory, without a read", async () => {
  using service = connectionsFixture();
  const client = await followedEvery(service);
  await service.tick();
  client.socket.bufferedBytes = HIGH_WATER_BYTES;
  for (const second of [0, 1, 2]) {
    store(service, second);
    await service.tick();
  }
  assert.deepEqual(client.short(), []);
  assert.equal(client.connection.missedPushes, 3);
  client.socket.bufferedBytes = 0;
  store(service, 3);
  service.sources.historyReads.length = 0;
  await service.tick();
  assert.deepEqual(client.short(), ["dev-1 0", "dev-1 1", "dev-1 2", "dev-1 3"]);
  assert.equal(service.sources.historyReads.length, 1, "the tick's");
});

Deno.test("A socket that was full for long catches up from the database as telemetry, nothing lost, nothing twice", async () => {
  using service = connectionsFixture({ slowClientMs: Infinity });
  const client = await followedEvery(service);
  store(service, -2);
  await service.tick();
  client.socket.bufferedBytes = HIGH_WATER_BYTES;
  const expected = ["dev-1 -2"];
  for (let second = 0; second < 20; second++) {
    store(service, second);
    expected.push(`dev-1 ${second}`);
    await service.tick();
  }
  const reads = service.sources.historyReads.length;
  await service.tick();
  assert.equal(service.sources.historyReads.length, reads + 1, "nobody reads for a full socket");
  client.socket.bufferedBytes = 0;
  await service.tick();
  await service.tick();
  assert.equal(service.sources.historyReads.length, reads + 4, "three ticks, one catching up");
  store(service, 20);
  await service.tick();
  assert.deepEqual(client.short(), [...expected, "dev-1 20"]);
});

Deno.test("Who was full for long and catches up is not sent what was stored before it began", async () => {
  for (const workers of [1, 2]) {
    using service = connectionsFixture({ slowClientMs: Infinity, workers });
    const clients = [await followedEvery(service, { stored: [-3, -1] })];
    for (let second = 0; second < 5; second++) {
      store(service, second);
      await service.tick();
    }
    for (let late = 0; late < 2; late++) {
      const client = service.connect();
      client.subscribe("dev-1", { mode: "every" });
      clients.push(client);
    }
    await service.tick();
    for (const client of clients) {
      client.take();
      client.socket.bufferedBytes = HIGH_WATER_BYTES;
    }
    const expected: string[] = [];
    for (let second = 5; second < 12; second++) {
      store(service, second);
      expected.push(`dev-1 ${second}`);
      await service.tick();
    }
    const reads = service.sources.historyReads.length;
    for (const { socket } of clients) socket.bufferedBytes = 0;
    await service.tick();
    await service.tick();
    assert.ok(service.sources.historyReads.length > reads + 2, "they catch up from the database");
    for (const client of clients) assert.deepEqual(client.short(), expected);
  }
});

Deno.test("Who follows all devices for a moment is sent nothing of one that it followed already", async () => {
  for (const workers of [1, 2]) {
    using service = connectionsFixture({ workers });
    const client = await followedEvery(service, { stored: [-3] });
    store(service, 0);
    await service.tick();
    assert.deepEqual(client.short(), ["dev-1 0"]);
    client.subscribe("*", { mode: "every" });
    client.say('{"action":"unsubscribe","type":"device","device_id":"*"}');
    const reads = service.sources.historyReads.length;
    await service.tick();
    assert.deepEqual(client.short(), ["subscribed *", "unsubscribed *"]);
    assert.equal(service.sources.historyReads.length, reads + 1, "the tick's");
    store(service, 1);
    await service.tick();
    assert.deepEqual(client.short(), ["dev-1 1"]);
  }
});

Deno.test("A first sample that a full socket missed for long is caught up with", async () => {
  using service = connectionsFixture({ slowClientMs: Infinity });
  const client = service.connect();
  client.subscribe("*", { mode: "every" });
  await service.clock.advance(PHASE_MS - 1);
  client.short();
  await service.tick();
  client.socket.bufferedBytes = HIGH_WATER_BYTES;
  const expected: string[] = [];
  for (let second = 0; second < 40; second += 2) {
    store(service, second);
    expected.push(`dev-1 ${second}`);
    await service.clock.advance(2_000);
  }
  client.socket.bufferedBytes = 0;
  await service.tick();
  await service.tick();
  assert.deepEqual(client.short(), expected);
});

Deno.test("While it catches up nothing of the device is pushed, and others are not held up", async () => {
  using service = connectionsFixture({
    slowClientMs: Infinity,
    wrapHistories: (options) => ({ ...options, histories: silentHistories }),
  });
  const client = await followedEvery(service);
  service.sources.put("acme", "dev-2", sampleAt(0));
  client.follow("dev-2");
  client.socket.bufferedBytes = HIGH_WATER_BYTES;
  for (let second = 0; second < 8; second++) {
    store(service, second);
    await service.tick();
  }
  client.socket.bufferedBytes = 0;
  client.take();
  for (let tick = 0; tick < 3; tick++) {
    await service.tick();
    assert.deepEqual(client.short(), ["dev-2 0"]);
  }
});

Deno.test("With metrics only samples that have them are sent, and the others count as sent", async () => {
  using service = connectionsFixture();
  const client = await followedEvery(service, { fields: { metrics: ["volts"] } });
  service.sources.put("acme", "dev-1", sampleAt(0, { temp_c: 1 }));
  service.sources.put("acme", "dev-1", sampleAt(1, { temp_c: 1, volts: 5 }));
  await service.tick();
  await service.tick();
  assert.deepEqual(client.pushes(), ['dev-1 {"volts":5}']);
});

Deno.test("In mode every what is stored during an outage comes after it", async () => {
  using service = connectionsFixture();
  const client = await followedEvery(service);
  await service.tick();
  const fault = new Error("Gone");
  service.sources.historyFault = () => fault;
  service.sources.telemetryFault = () => fault;
  const expected: string[] = [];
  for (let second = 0; second < 30; second++) {
    store(service, second);
    expected.push(`dev-1 ${second}`);
    await service.tick();
  }
  assert.deepEqual(client.short(), []);
  service.sources.historyFault = null;
  service.sources.telemetryFault = null;
  await service.tick();
  await service.tick();
  assert.deepEqual(client.short(), expected);
});

Deno.test("What is stored after the answer is sent, however long the first read waits for another", async () => {
  using service = connectionsFixture();
  store(service, -1);
  service.connect().follow("dev-2");
  const { promise, resolve } = Promise.withResolvers<void>();
  service.sources.hold = promise;
  await service.clock.advance(10);
  const client = service.connect();
  client.subscribe("dev-1", { mode: "every" });
  assert.deepEqual(client.short(), ["subscribed dev-1"]);
  for (const second of [1, 2, 3]) {
    await service.clock.advance(1_000);
    store(service, second);
  }
  service.sources.hold = null;
  resolve();
  await service.clock.advance(5_000);
  assert.deepEqual(client.short(), ["dev-1 1", "dev-1 2", "dev-1 3"]);
});

for (const workers of [1, 2]) {
  Deno.test(`A batch on its way is not sent to who begins to follow meanwhile, workers: ${workers}`, async () => {
    let delivered = () => {};
    using service = connectionsFixture({ workers, watch: () => delivered() });
    store(service, -1);
    const client = service.connect();
    client.subscribe("dev-1", { mode: "every" });
    // Follows it, too, on the other worker where there are two.
    service.connect().subscribe("dev-1", { mode: "every" });
    await service.tick();
    await service.tick();
    store(service, 2);
    client.take();
    // As the tick's batch is handed over, the client leaves the device and comes back to it.
    delivered = () => {
      delivered = () => {};
      void Promise.resolve().then(() => {
        client.unfollow("dev-1");
        client.subscribe("dev-1", { mode: "every" });
      });
    };
    await service.tick();
    await service.tick();
    store(service, 4);
    await service.tick();
    await service.tick();
    assert.deepEqual(client.short(), ["unsubscribed dev-1", "subscribed dev-1", "dev-1 4"]);
  });
}
