// Subscriptions that begin in the past: what is answered, which pages follow, and when live begins.
import assert from "node:assert/strict";
import type { LimitName } from "../../src/limits/limits.ts";
import { sampleAt } from "../support/samples.ts";
import { outage } from "../support/fake_sources.ts";
import {
  type ConnectionsFixture,
  connectionsFixture,
  PHASE_MS,
  POLL_MS,
} from "./connections_fixture.ts";

const MARK = 1_000_000;

function at(second: number): string {
  return sampleAt(second).timestamp;
}

function store(service: ConnectionsFixture, deviceId: string, seconds: readonly number[]): void {
  for (const second of seconds) service.sources.put("acme", deviceId, sampleAt(second));
}

Deno.test("A cursor is answered with where each device begins, then pages with the message's id, then live", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  store(service, "dev-1", [-9, -6, -3]);
  store(service, "dev-2", [-8, -4]);
  const client = service.connect();
  const since = { "dev-1": at(-6), "dev-2": at(-20) };
  client.subscribe(["dev-1", "dev-2"], { mode: "every", since, id: "r1" });
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(client.short(), [
    "subscribed dev-1,dev-2 from {dev-1: -6, dev-2: -20} #r1",
    "history dev-1 [-3] done #r1",
    "history dev-2 [-8,-4] done #r1",
  ]);
  store(service, "dev-1", [0]);
  store(service, "dev-2", [0, -5]);
  await service.tick();
  assert.deepEqual(client.short(), ["dev-1 0", "dev-2 -5", "dev-2 0"]);
});

Deno.test("In mode latest the newest sample comes after the history, unless that ended with it", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  store(service, "dev-1", [-9, -6]);
  store(service, "dev-2", [-90]);
  const client = service.connect();
  client.subscribe(["dev-1", "dev-2"], { since: at(-30) });
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(client.short(), [
    "subscribed dev-1,dev-2 from {dev-1: -30, dev-2: -30}",
    "history dev-1 [-9,-6] done",
    "history dev-2 [] done",
    "dev-2 -90",
  ]);
  await service.tick();
  assert.deepEqual(client.short(), ["dev-1 -6", "dev-2 -90"]);
});

Deno.test("With changes_only the sample that ended the history is not pushed again", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  store(service, "dev-1", [-9, -6]);
  const client = service.connect();
  client.subscribe("dev-1", { since: at(-8), changes_only: true });
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(client.short(), [
    "subscribed dev-1 from {dev-1: -8}",
    "history dev-1 [-6] done",
  ]);
  await service.tick();
  assert.deepEqual(client.short(), []);
  store(service, "dev-1", [0]);
  await service.tick();
  assert.deepEqual(client.short(), ["dev-1 0"]);
});

Deno.test("What a read began to look for before the history was there is not sent where it is older, or the same", async () => {
  for (const changes_only of [false, true]) {
    const slow = Promise.withResolvers<void>();
    let isSlow = true;
    using service = connectionsFixture({
      highWaterBytes: MARK,
      wrap: (sources) => {
        const { telemetry } = sources;
        const readLatest: typeof telemetry.readLatest = async (query) => {
          const answer = await telemetry.readLatest(query);
          if (isSlow) await slow.promise;
          return answer;
        };
        return { ...sources, telemetry: { ...telemetry, readLatest } };
      },
    });
    store(service, "dev-1", [-9]);
    store(service, "dev-2", [-4]);
    const client = service.connect();
    client.subscribe(["dev-1", "dev-2"], { changes_only });
    await service.clock.advance(5);
    store(service, "dev-1", [-6]);
    client.subscribe(["dev-1", "dev-2"], { since: at(-30), changes_only });
    await service.clock.advance(300);
    assert.deepEqual(client.short(), [
      "subscribed dev-1,dev-2",
      "subscribed dev-1,dev-2 from {dev-1: -30, dev-2: -30}",
      "history dev-1 [-9,-6] done",
      "history dev-2 [-4] done",
    ]);
    isSlow = false;
    slow.resolve();
    await service.clock.advance(PHASE_MS - 306);
    assert.deepEqual(client.short(), []);
    await service.tick();
    assert.deepEqual(client.short(), changes_only ? [] : ["dev-1 -6", "dev-2 -4"]);
    store(service, "dev-1", [0]);
    await service.tick();
    assert.deepEqual(client.short(), changes_only ? ["dev-1 0"] : ["dev-1 0", "dev-2 -4"]);
  }
});

Deno.test("A device that since does not name has no history, and waits for the answer with the others", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  for (const deviceId of ["dev-1", "dev-2"]) store(service, deviceId, [-6, -3]);
  // Its values are young, so that they could be pushed at once.
  service.connect().subscribe(["dev-1", "dev-2"]);
  await service.clock.advance(PHASE_MS + 10);
  const client = service.connect();
  client.subscribe(["dev-1", "dev-2"], { since: { "dev-1": at(-4) }, id: 1 });
  await service.clock.advance(300);
  assert.deepEqual(client.short(), [
    "subscribed dev-1,dev-2 from {dev-1: -4} #1",
    "history dev-1 [-3] done #1",
    "dev-2 -3",
  ]);
});

Deno.test("A since that names nothing is answered at once and keeps nothing", async () => {
  using service = connectionsFixture();
  store(service, "dev-1", [-3]);
  const client = service.connect();
  client.subscribe("dev-1", { since: {} });
  await service.clock.advance(100);
  assert.deepEqual(client.short(), ["subscribed dev-1 from {}", "dev-1 -3"]);
});

Deno.test("history_seconds counts back from now, and resolution_seconds makes windows of the history only", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  for (const [second, temp_c] of [[-40, 1], [-20, 3], [-16, 3], [-4, 8]] as const) {
    service.sources.put("acme", "dev-1", sampleAt(second, { temp_c }));
  }
  const client = service.connect();
  client.subscribe("dev-1", { mode: "every", history_seconds: 30, resolution_seconds: 10 });
  await service.clock.advance(PHASE_MS - 1);
  const [answer, page, ...rest] = client.take();
  assert.deepEqual(rest, []);
  assert(answer?.type === "subscribed" && answer.channel === "device");
  assert.deepEqual({ ...answer.resume }, { "dev-1": { from: at(-30), complete: true } });
  assert(page?.type === "history" && page.done);
  assert.deepEqual(page.samples, [
    { timestamp: at(-20), metrics: { temp_c: 3 } },
    { timestamp: at(-10), metrics: { temp_c: 8 } },
  ]);
  store(service, "dev-1", [0]);
  await service.tick();
  assert.deepEqual(client.short(), ["dev-1 0"], "live samples as they are stored");
});

Deno.test("Samples of history that have none of the metrics are left out, and the others hold only those", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  service.sources.put("acme", "dev-1", sampleAt(-3, { temp_c: 1, volts: 2 }));
  service.sources.put("acme", "dev-1", sampleAt(-2, { temp_c: 1 }));
  const client = service.connect();
  client.subscribe("dev-1", { mode: "every", since: at(-9), metrics: ["volts"] });
  await service.clock.advance(PHASE_MS - 1);
  const page = client.take().at(-1);
  assert(page?.type === "history");
  assert.deepEqual(page.samples, [{ timestamp: at(-3), metrics: { volts: 2 } }]);
});

Deno.test("A slow link is sent the history of wide devices in messages that it takes, and is not ended as stuck", async () => {
  using service = connectionsFixture({ highWaterBytes: 256 * 1024 });
  const wide = (second: number) =>
    sampleAt(second, Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`metric_${n}`, n])));
  const seconds = Array.from({ length: 300 }, (_, n) => n - 400);
  for (const second of seconds) service.sources.put("acme", "dev-1", wide(second));
  const client = service.connect();
  client.socket.isFilling = true;
  client.subscribe("dev-1", { history_seconds: 900 });
  for (let second = 0; second < 60; second++) {
    await service.tick();
    client.socket.bufferedBytes = Math.max(0, client.socket.bufferedBytes - 60_000);
  }
  assert.deepEqual(client.socket.closings, []);
  const pages = client.take().filter((message) => message.type === "history");
  assert.deepEqual(
    pages.flatMap(({ samples }) => samples.map(({ timestamp }) => timestamp)),
    seconds.map(at),
  );
  assert.deepEqual(pages.map(({ done }) => done), pages.map((page) => page === pages.at(-1)));
});

Deno.test("What can't be had is said with its reason and with where it begins instead", async () => {
  const cases: ReadonlyArray<readonly [since: string, answer: string, crossed?: LimitName]> = [
    [at(-100_000), "-90000 too_old", "history_seconds"],
    [at(61), "0 in_future"],
    [at(59), "59"],
    [at(-1_600), "-1101 too_many", "history_samples"],
  ];
  for (const [since, expected, crossed] of cases) {
    using service = connectionsFixture({ highWaterBytes: MARK, historySamples: 1_100 });
    const count = expected.endsWith("many") ? 1_500 : 1;
    store(service, "dev-1", Array.from({ length: count }, (_, index) => index - count));
    const client = service.connect();
    client.subscribe("dev-1", { since });
    await service.clock.advance(PHASE_MS - 1);
    const [answer] = client.short();
    assert.equal(answer, `subscribed dev-1 from {dev-1: ${expected}}`);
    for (const limit of ["history_seconds", "history_samples"] as const) {
      assert.equal(service.ledger.crossings(limit), limit === crossed ? 1 : 0, expected);
    }
  }
});

Deno.test("history_seconds of all that there may be is complete", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  const client = service.connect();
  await service.clock.advance(PHASE_MS);
  client.subscribe("*", { history_seconds: 90_000 });
  client.subscribe("dev-1", { history_seconds: 90_000 });
  store(service, "dev-2", [0]);
  await service.clock.advance(PHASE_MS - 1);
  const answers = client.take().filter(({ type }) => type === "subscribed");
  assert.equal(answers.length, 2);
  for (const answer of answers) assert.ok(!JSON.stringify(answer).includes("too_old"));
});

Deno.test("A source that is down is answered for, and the history follows when it is up again", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  store(service, "dev-1", [-9, -6]);
  const client = service.connect();
  client.hello("notices");
  service.sources.historyFault = outage;
  service.sources.telemetryFault = outage;
  client.subscribe("dev-1", { mode: "every", since: at(-8), id: 1 });
  await service.tick();
  assert.deepEqual(client.short(), [
    "hello",
    "subscribed dev-1 from {dev-1: -8 source_unavailable} #1",
  ]);
  for (let tick = 0; tick < 5; tick++) await service.tick();
  service.sources.historyFault = null;
  service.sources.telemetryFault = null;
  await service.clock.advance(30_000);
  assert.deepEqual(client.short(), [
    "status telemetry degraded",
    "status telemetry ok",
    "history dev-1 [-6] done #1",
  ]);
});

Deno.test("The other devices of a message go on when one is unsubscribed while history is read", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  for (const deviceId of ["dev-1", "dev-2"]) store(service, deviceId, [-3]);
  const client = service.connect();
  client.subscribe(["dev-1", "dev-2"], { mode: "every", since: at(-9), id: 1 });
  client.unfollow("dev-1");
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(client.short(), [
    "unsubscribed dev-1",
    "subscribed dev-1,dev-2 from {dev-1: -9 replaced, dev-2: -9} #1",
    "history dev-2 [-3] done #1",
  ]);
});

Deno.test("A message that is replaced or ended before it was answered is answered before what ended it", async () => {
  const first = { mode: "every", since: at(-9), id: 1 };
  const endings = {
    again: [{ since: at(-8), id: 2 }, "subscribed dev-1 from {dev-1: -8} #2"],
    live: [{ id: 2 }, "subscribed dev-1 #2"],
    end: [null, "unsubscribed dev-1"],
  } as const;
  for (const [fields, answer] of Object.values(endings)) {
    using service = connectionsFixture({ highWaterBytes: MARK });
    store(service, "dev-1", [-3]);
    const client = service.connect();
    client.subscribe("dev-1", first);
    if (fields === null) client.unfollow("dev-1");
    else client.subscribe("dev-1", fields);
    await service.clock.advance(PHASE_MS - 1);
    const replaced = "subscribed dev-1 from {dev-1: -9 replaced} #1";
    assert.deepEqual(client.short().slice(0, 2), [replaced, answer]);
    await service.tick();
    const rest = client.short().filter((text) => text.includes("#1"));
    assert.deepEqual(rest, [], "and nothing of it follows");
  }
});

Deno.test("No page follows an unsubscribe, nor another subscribe, while history flows", async () => {
  for (const act of ["unsubscribe", "subscribe"] as const) {
    using service = connectionsFixture({ slowClientMs: Infinity });
    store(service, "dev-1", Array.from({ length: 1_200 }, (_, index) => index - 1_300));
    const client = service.connect();
    client.socket.isFilling = true;
    client.subscribe("dev-1", { mode: "every", since: at(-1_301), id: 1 });
    await service.clock.advance(PHASE_MS - 1);
    assert.deepEqual(client.take().map(({ type }) => type), ["subscribed", "history"]);
    client.say(JSON.stringify({ action: act, type: "device", device_id: "dev-1", id: 2 }));
    client.socket.isFilling = false;
    client.socket.bufferedBytes = 0;
    await service.tick();
    await service.tick();
    const texts = client.short();
    assert.equal(texts[0], `${act}d dev-1 #2`);
    assert.deepEqual(texts.filter((text) => text.startsWith("history")), []);
  }
});

Deno.test("Two subscribes with history at once flow side by side, each with its own id", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  for (const deviceId of ["dev-1", "dev-2"]) store(service, deviceId, [-6, -3]);
  const client = service.connect();
  client.subscribe("dev-1", { mode: "every", since: at(-9), id: 1 });
  client.subscribe("dev-2", { since: at(-5), id: 2 });
  service.sources.historyReads.length = 0;
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(client.short().sort(), [
    "history dev-1 [-6,-3] done #1",
    "history dev-2 [-3] done #2",
    "subscribed dev-1 from {dev-1: -9} #1",
    "subscribed dev-2 from {dev-2: -5} #2",
  ]);
});

Deno.test("A client that leaves in the middle of history is sent nothing more, and nothing goes on for it", async () => {
  using service = connectionsFixture();
  store(service, "dev-1", Array.from({ length: 1_200 }, (_, index) => index - 1_300));
  const client = service.connect();
  client.socket.isFilling = true;
  client.subscribe("dev-1", { mode: "every", since: at(-1_301) });
  await service.clock.advance(100);
  client.leave();
  client.take();
  service.sources.historyReads.length = 0;
  await service.clock.advance(10_000);
  assert.deepEqual(client.take(), []);
  assert.deepEqual(service.sources.historyReads, []);
  assert.equal(service.feeds.feedCount, 0);
  assert.equal(service.clock.timerCount, 0);
});

Deno.test("hello in the middle of history changes how what follows is sent, and loses nothing", async () => {
  using service = connectionsFixture({ highWaterBytes: MARK });
  store(service, "dev-1", [-6, -3]);
  const client = service.connect();
  client.subscribe("dev-1", { mode: "every", since: at(-9), id: 1 });
  client.hello("batch", "as_of");
  await service.clock.advance(PHASE_MS - 1);
  const [, , page] = client.take();
  assert(page?.type === "history" && page.as_of !== undefined && page.samples.length === 2);
  store(service, "dev-1", [0]);
  await service.tick();
  assert.deepEqual(client.short(), ["batch (dev-1 0)"]);
});

Deno.test("A device without a past that waits long for another's begins where it was asked for", async () => {
  const gate = Promise.withResolvers<void>();
  using service = connectionsFixture({
    wrapHistories: ({ histories, ...rest }) => ({
      ...rest,
      histories: {
        earliest: (question) => histories.earliest(question),
        alerts: (question) => histories.alerts(question),
        page: async (question) => {
          await gate.promise;
          return await histories.page(question);
        },
      },
    }),
  });
  const { clock } = service;
  for (let second = 0; second < 5; second++) {
    store(service, "dev-2", [second]);
    await clock.advance(POLL_MS);
  }
  const client = service.connect();
  const since = { "dev-1": at(-60) };
  client.subscribe(["dev-1", "dev-2"], { mode: "every", since });
  // More batches than are kept in memory, the one with which it began among them.
  for (let second = 6; second < 14; second++) {
    await clock.advance(POLL_MS);
    store(service, "dev-2", [second]);
  }
  gate.resolve();
  await clock.advance(5 * POLL_MS);
  assert.deepEqual(
    client.short().filter((text) => text.startsWith("dev-2")),
    [6, 7, 8, 9, 10, 11, 12, 13].map((second) => `dev-2 ${second}`),
  );
});
