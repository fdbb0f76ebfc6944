// Coming back to a tenant's alerts: the list, what came and went meanwhile, and no step of the feed told twice or missed.
import assert from "node:assert/strict";
import { outage } from "../support/fake_sources.ts";
import { sampleAt } from "../support/samples.ts";
import { closed, opened, table } from "./alert_table.ts";
import { connectionsFixture, PHASE_MS, POLL_MS } from "./connections_fixture.ts";

function at(second: number): string {
  return sampleAt(second).timestamp;
}

Deno.test("With since the list comes, and then what closed since, and what came and went since", async () => {
  using service = connectionsFixture();
  table(
    service,
    closed(opened(4, -20), -10),
    opened(3, -25),
    closed(opened(2, -60), -15),
    closed(opened(1, -90), -80),
  );
  const client = service.connect();
  client.subscribeAlerts({ mode: "changes", since: at(-30), id: 1 });
  await service.clock.advance(PHASE_MS - 1);
  const [answer, list, changes, ...rest] = client.take();
  assert.deepEqual(rest, []);
  assert(answer?.type === "subscribed" && answer.channel === "alerts" && answer.id === 1);
  assert.deepEqual(answer.resume, { from: at(-30), complete: true });
  assert(list?.type === "alerts" && changes?.type === "alert_changes");
  assert.deepEqual(list.alerts.map(({ alert_id }) => alert_id), [3]);
  assert.deepEqual(changes.opened.map(({ alert_id }) => alert_id), [4]);
  assert.deepEqual(changes.updated, []);
  assert.deepEqual([...changes.closed].sort(), [2, 4]);
  for (let tick = 0; tick < 15; tick++) await service.tick();
  assert.deepEqual(client.short(), [], "nothing of it is told again");
});

Deno.test("With since and nothing to say the list is all that comes", async () => {
  using service = connectionsFixture();
  table(service, opened(1, -60));
  const client = service.connect();
  client.subscribeAlerts({ mode: "changes", since: at(-30) });
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(client.short(), ["subscribed alerts from -30", "alerts [1]"]);
});

Deno.test("With since and device_ids only those alerts are told, and no others called closed", async () => {
  using service = connectionsFixture();
  table(
    service,
    closed(opened(4, -20, { device_id: "dev-2" }), -10),
    closed(opened(3, -25, { device_id: "dev-1" }), -10),
    opened(2, -26, { device_id: "dev-1" }),
    closed(opened(1, -60, { device_id: "dev-2" }), -15),
  );
  const client = service.connect();
  client.subscribeAlerts({ mode: "changes", since: at(-30), device_ids: ["dev-1"] });
  await service.clock.advance(PHASE_MS - 1);
  assert.deepEqual(client.short(), [
    "subscribed alerts from -30",
    "alerts [2]",
    "changes +[3] ~[] -[3]",
  ]);
});

Deno.test("What can't be had of alerts is said with its reason", async () => {
  const cases: ReadonlyArray<readonly [since: string, answer: string]> = [
    [at(-100_000), "-90000 too_old"],
    [at(61), "0 in_future"],
    [at(59), "59"],
    [at(-50), "-50 too_many"],
  ];
  for (const [since, expected] of cases) {
    using service = connectionsFixture({ maxOpenAlerts: 2 });
    const passed = [3, 2, 1].map((id) => closed(opened(id, -40 + id), -20 + id));
    if (expected.endsWith("many")) table(service, ...passed);
    const client = service.connect();
    client.subscribeAlerts({ mode: "changes", since });
    await service.clock.advance(PHASE_MS - 1);
    const [answer, list] = client.short();
    assert.equal(answer, `subscribed alerts from ${expected}`);
    assert.equal(list, "alerts []");
    for (const [limit, reason] of [["history_seconds", "old"], ["open_alerts", "many"]] as const) {
      const crossings = service.ledger.crossings(limit);
      assert.equal(crossings, expected.endsWith(reason) ? 1 : 0, `${limit}, ${expected}`);
    }
  }
});

Deno.test("A source of alerts that is down is answered for, and the list follows when it is up again", async () => {
  using service = connectionsFixture();
  table(service, opened(2, -9), closed(opened(1, -60), -9));
  service.sources.alertFault = outage;
  const client = service.connect();
  client.subscribeAlerts({ mode: "changes", since: at(-30), id: 1 });
  await service.tick();
  assert.deepEqual(client.short(), ["subscribed alerts from -30 source_unavailable #1"]);
  for (let tick = 0; tick < 5; tick++) await service.tick();
  service.sources.alertFault = null;
  await service.clock.advance(30_000);
  assert.deepEqual(client.short(), ["alerts [2]", "changes +[] ~[] -[1]"]);
});

Deno.test("A state that was old when the client came back is not sent: the next read's is", async () => {
  using service = connectionsFixture();
  table(service, opened(1, -60));
  const other = service.connect();
  other.subscribeAlerts({ mode: "changes" });
  await service.tick();
  const fault = outage();
  service.sources.alertFault = () => fault;
  await service.clock.advance(5 * POLL_MS);
  const client = service.connect();
  service.sources.alertFault = null;
  table(service, closed(opened(1, -60), 3));
  client.subscribeAlerts({ mode: "changes", since: at(4) });
  await service.clock.advance(20 * POLL_MS);
  assert.deepEqual(client.short(), ["subscribed alerts from 4", "alerts []"]);
});

Deno.test("What changes while the past is read is told once, whether history or the feed finds it first", async () => {
  for (const changeAtMs of [1, 30, 55, 100, 400, 499, 501]) {
    using service = connectionsFixture();
    const other = service.connect();
    other.subscribeAlerts({ mode: "changes" });
    table(service, opened(1, -60), opened(2, -61));
    await service.tick();
    const client = service.connect();
    client.subscribeAlerts({ mode: "changes", since: at(-30) });
    await service.clock.advance(changeAtMs);
    // One goes, one comes and goes, one comes.
    table(
      service,
      opened(4, 1.2),
      closed(opened(3, 1.1), 1.2),
      closed(opened(1, -60), 1.2),
      opened(2, -61),
    );
    for (let tick = 0; tick < 15; tick++) await service.tick();
    const open = new Set<number>();
    const news: number[] = [];
    for (const message of client.take()) {
      if (message.type === "alerts") {
        for (const { alert_id } of message.alerts) open.add(alert_id);
        news.push(...message.alerts.map(({ alert_id }) => alert_id));
      }
      if (message.type !== "alert_changes") continue;
      news.push(...message.opened.map(({ alert_id }) => alert_id));
      for (const { alert_id } of message.opened) open.add(alert_id);
      for (const alertId of message.closed) {
        assert.ok(open.delete(alertId), `${alertId} is closed twice at ${changeAtMs}`);
      }
    }
    assert.deepEqual([...open].sort(), [2, 4], `${changeAtMs} ms`);
    assert.deepEqual(news.sort(), [1, 2, 3, 4], `${changeAtMs} ms`);
  }
});

Deno.test("An alert that a catch-up told is closed, and that is opened again, is told open again", async () => {
  using service = connectionsFixture();
  const other = service.connect();
  other.subscribeAlerts({ mode: "changes" });
  table(service, opened(1, -60));
  await service.tick();
  const client = service.connect();
  client.subscribeAlerts({ mode: "changes", since: at(-30) });
  table(service, closed(opened(1, -60), 1.4));
  await service.clock.advance(200);
  assert.deepEqual(client.short(), [
    "subscribed alerts from -30",
    "alerts [1]",
    "changes +[] ~[] -[1]",
  ]);
  table(service, opened(1, -60));
  for (let tick = 0; tick < 15; tick++) await service.tick();
  assert.deepEqual(client.short(), ["changes +[1] ~[] -[]"]);
  table(service, closed(opened(1, -60), 16));
  await service.tick();
  assert.deepEqual(client.short(), ["changes +[] ~[] -[1]"]);
});

Deno.test("A message about alerts that is replaced or ended before it was answered is answered before what ended it", async () => {
  for (const ending of ["again", "end", "leave"]) {
    using service = connectionsFixture();
    const client = service.connect();
    client.subscribeAlerts({ mode: "changes", since: at(-30), id: 1 });
    if (ending === "again") client.subscribeAlerts({ id: 2 });
    else if (ending === "end") client.unfollowAlerts();
    else client.leave();
    await service.clock.advance(100);
    const replaced = "subscribed alerts from -30 replaced #1";
    assert.deepEqual(
      client.short(),
      ending === "again"
        ? [replaced, "subscribed alerts #2", "alerts []"]
        : ending === "end"
        ? [replaced, "unsubscribed alerts"]
        : [],
    );
  }
});

Deno.test("What is fetched for a client's alerts ends with the client", async () => {
  using service = connectionsFixture();
  service.sources.alertFault = outage;
  const client = service.connect();
  client.subscribeAlerts({ mode: "changes", since: at(-30) });
  await service.clock.advance(200);
  client.leave();
  await service.clock.advance(1_000);
  assert.equal(service.clock.timerCount, 0);
});

Deno.test("A fault of ours while alerts are fetched ends the connection and is logged", async () => {
  using service = connectionsFixture({
    wrapHistories: ({ histories, ...options }) => ({
      ...options,
      histories: {
        page: (question) => histories.page(question),
        earliest: (question) => histories.earliest(question),
        alerts: () => Promise.reject(new TypeError("No list")),
      },
    }),
  });
  const client = service.connect();
  client.subscribeAlerts({ mode: "changes", since: at(-30) });
  await service.clock.advance(100);
  assert.deepEqual(client.socket.closings.map(({ code }) => code), [1011]);
  assert.equal(service.log.of("history_failed").length, 1);
});
