// Following every device from an instant in the past: whose history that is, and what is answered meanwhile.
import assert from "node:assert/strict";
import { instantOfMs } from "../../src/protocol/nano_instant.ts";
import { outage } from "../support/fake_sources.ts";
import { HISTORY_MS } from "../support/histories.ts";
import { sampleAt } from "../support/samples.ts";
import { type ConnectionsFixture, connectionsFixture, PHASE_MS } from "./connections_fixture.ts";

const MARK = 1_000_000;
const UNSUBSCRIBE_ALL = '{"action":"unsubscribe","type":"device","device_id":"*","id":2}';

function at(second: number): string {
  return sampleAt(second).timestamp;
}

function store(service: ConnectionsFixture, deviceId: string, seconds: readonly number[]): void {
  for (const second of seconds) service.sources.put("acme", deviceId, sampleAt(second));
}

Deno.test("The answer names every device that is known, and each has its history before it is live", async () => {
  for (const mode of ["latest", "every"]) {
    using service = connectionsFixture({ highWaterBytes: MARK });
    store(service, "dev-1", [-9, -3]);
    store(service, "dev-2", [-6, -2]);
    const client = service.connect();
    client.subscribe("*", { mode, since: at(-7), id: 1 });
    await service.clock.advance(PHASE_MS - 1);
    const [answer, ...pages] = client.short();
    assert.match(answer ?? "", /^subscribed \* from \{dev-[12]: -7, dev-[12]: -7\} #1$/);
    assert.deepEqual(pages.sort(), [
      "history dev-1 [-3] done #1",
      "history dev-2 [-6,-2] done #1",
    ]);
    store(service, "dev-1", [0]);
    await service.tick();
    const live = mode === "every" ? ["dev-1 0"] : ["dev-1 0", "dev-2 -2"];
    assert.deepEqual(client.short().sort(), live);
  }
});

Deno.test("With a cursor for some devices the others are live at once, after the answer", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  for (const deviceId of ["dev-1", "dev-2"]) store(service, deviceId, [-9, -3]);
  service.connect().subscribe("*");
  await service.clock.advance(PHASE_MS + 10);
  const client = service.connect();
  client.subscribe("*", { since: { "dev-1": at(-5) }, id: 1 });
  await service.clock.advance(400);
  assert.deepEqual(client.short(), [
    "subscribed * from {dev-1: -5} #1",
    "history dev-1 [-3] done #1",
    "dev-2 -3",
  ]);
});

Deno.test("A device that was silent for too long to be found has the history that its cursor asks for", async () => {
  for (const mode of ["latest", "every"]) {
    using service = connectionsFixture({
      highWaterBytes: MARK,
      wrap: ({ alerts, telemetry }) => ({
        alerts,
        telemetry: {
          ...telemetry,
          // It has samples, but none within the lookback.
          readLatest: async (query) => {
            const result = await telemetry.readLatest(query);
            const samples = new Map([...result.samples].filter(([id]) => id !== "old"));
            return { ...result, samples };
          },
          listDevices: async (query) => {
            const { devices, ...result } = await telemetry.listDevices(query);
            return { ...result, devices: devices.filter(({ device_id }) => device_id !== "old") };
          },
        },
      }),
    });
    store(service, "old", [-50_000, -40_000]);
    const client = service.connect();
    client.subscribe("*", { mode, since: { old: at(-45_000) }, id: 1 });
    await service.tick();
    await service.tick();
    assert.deepEqual(client.short(), [
      "subscribed * from {old: -45000} #1",
      "history old [-40000] done #1",
    ]);
    const interest = service.feeds.interestOf("acme");
    assert.deepEqual(interest?.deviceIds, ["old"]);
    client.say(UNSUBSCRIBE_ALL);
    assert.deepEqual(interest?.deviceIds, []);
    client.subscribe("*", { mode, since: { old: at(-45_000) } });
    await service.tick();
    client.leave();
    assert.deepEqual(interest?.deviceIds, []);
  }
});

Deno.test("Devices that can't be found out now are answered for, and their history follows before they are live", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  store(service, "dev-1", [-9, -3]);
  service.sources.historyFault = outage;
  const client = service.connect();
  client.subscribe("*", { since: at(-7), id: 1 });
  await service.tick();
  await service.tick();
  assert.deepEqual(client.short(), ["subscribed * from {*: -7 source_unavailable} #1"]);
  service.sources.historyFault = null;
  await service.clock.advance(10_000);
  const texts = client.short();
  assert.equal(texts[0], "history dev-1 [-3] done #1");
  assert.ok(texts.slice(1).every((text) => text === "dev-1 -3") && texts.length > 2);
});

Deno.test("Where devices can't be found out, the answer goes back no further than history does", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  service.sources.historyFault = outage;
  const client = service.connect();
  client.subscribe("*", { since: "2020-01-01T00:00:00Z" });
  await service.tick();
  const oldest = instantOfMs(service.clock.now() - 1_000 - HISTORY_MS);
  const [answer] = client.take();
  assert.deepEqual(answer?.type === "subscribed" && "resume" in answer && answer.resume, {
    "*": { from: oldest, complete: false, reason: "source_unavailable" },
  });
});

Deno.test("A message about all that is replaced or ended while it waits is answered before what ended it", async () => {
  for (const ending of ["unsubscribe", "subscribe"]) {
    using service = connectionsFixture({ highWaterBytes: MARK });
    const hold = Promise.withResolvers<never>();
    service.sources.historyFault = (signal) => {
      signal.addEventListener("abort", () => hold.reject(signal.reason), { once: true });
      return hold.promise;
    };
    const client = service.connect();
    client.subscribe("*", { since: at(-7), id: 1 });
    await service.clock.advance(100);
    assert.deepEqual(client.short(), []);
    service.sources.historyFault = null;
    if (ending === "unsubscribe") client.say(UNSUBSCRIBE_ALL);
    else client.subscribe("*", { id: 2 });
    await service.tick();
    assert.deepEqual(client.short(), [
      "subscribed * from {*: -7 replaced} #1",
      `${ending}d * #2`,
    ]);
  }
});

Deno.test("However often all is asked for anew while the source is down, one question is repeated", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  service.sources.historyFault = outage;
  const client = service.connect();
  for (let time = 0; time < 20; time++) {
    client.subscribe("*", { since: at(-7) });
    await service.clock.advance(100);
  }
  service.sources.historyReads.length = 0;
  await service.clock.advance(60_000);
  const lists = service.sources.historyReads.filter((read) => "limit" in read);
  assert.ok(lists.length <= 8, `${lists.length} reads of devices`);
  client.leave();
  await service.clock.advance(1_000);
  assert.equal(service.clock.timerCount, 0);
});

Deno.test("A device's own subscription that comes while all waits for its history has its own", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  for (const deviceId of ["dev-1", "dev-2"]) store(service, deviceId, [-9, -3]);
  const client = service.connect();
  client.subscribe("*", { mode: "every", since: at(-10), id: 1 });
  await service.clock.advance(20);
  client.subscribe("dev-1", { mode: "every", since: at(-5), id: 2 });
  await service.clock.advance(PHASE_MS - 21);
  const texts = client.short();
  assert.deepEqual(texts.filter((text) => text.startsWith("history")).sort(), [
    "history dev-1 [-3] done #2",
    "history dev-2 [-9,-3] done #1",
  ]);
  for (const id of ["#1", "#2"]) {
    const answers = texts.filter((text) => text.startsWith("subscribed") && text.endsWith(id));
    assert.equal(answers.length, 1);
  }
});

Deno.test("A fault of ours while devices are found out ends the connection and is logged", async () => {
  using service = connectionsFixture({
    wrapHistories: (options) => ({
      ...options,
      listDevices: () => Promise.reject(new TypeError("Not a list")),
    }),
  });
  const client = service.connect();
  client.subscribe("*", { since: at(-7) });
  await service.clock.advance(10);
  assert.deepEqual(client.socket.closings.map(({ code }) => code), [1011]);
  assert.equal(service.log.of("history_failed").length, 1);
});
