// The harness itself: writers that lose nothing to a killed database, and a comparison that no lossy client passes.
import assert from "node:assert/strict";
import type { Alert } from "../../src/protocol/server_messages.ts";
import { alertOf } from "../support/samples.ts";
import { findInfluxd } from "../support/influxd.ts";
import { findPostgres, openPostgres } from "../support/postgres.ts";
import { until } from "../support/until.ts";
import { alertFaults } from "./alert_faults.ts";
import { AlertReplay } from "./alert_replay.ts";
import { AlertWriter, type StoredAlert, type WrittenAlert } from "./alert_writer.ts";
import type { Delivery } from "./following_client.ts";
import { InfluxStore } from "./influx_store.ts";
import { keyOf, type NumberedSample } from "./numbered_sample.ts";
import { sampleFaults } from "./sample_faults.ts";
import type { SampleStore, StoppableServer } from "./sample_store.ts";
import { SampleWriter } from "./sample_writer.ts";
import { TableStore } from "./table_store.ts";

const withinMs = 60_000;

/** Writes until an outage has been met and something was written after it, then holds the writer to the database. */
async function writeThroughOutage(store: SampleStore, server: StoppableServer): Promise<void> {
  await using writer = new SampleWriter({
    store,
    deviceIds: ["dev-1", "dev-2"],
    everyMs: 20,
    lateByMs: 100,
  });
  const more = async () => {
    const target = writer.acknowledged.length + 100;
    await until(() => writer.acknowledged.length > target, { withinMs, what: "more samples" });
  };
  await more();
  await server.kill();
  await until(() => writer.blockedMs > 200, { withinMs, what: "a write that waits" });
  await server.start();
  await more();
  await writer.end();
  assert(writer.failures > 0);
  const stored = await store.readAll();
  assert.equal(stored.length, writer.acknowledged.length);
  // A client that gets everything as it was written.
  const deliveries = writer.acknowledged.map((sample) => deliver(sample));
  const isLate = (sample: Pick<NumberedSample, "deviceId" | "timestamp">) => writer.isLate(sample);
  const since = new Map<string, string>();
  const evidence = { stored, acknowledged: writer.acknowledged, isLate };
  assert.deepEqual(sampleFaults({ ...evidence, connections: [{ since, deliveries }] }), []);
  assert(deliveries.some(isLate));
  const first = deliveries.find((delivery) => !isLate(delivery))!;
  const lossy = deliveries.filter((delivery) => delivery !== first);
  const found = sampleFaults({ ...evidence, connections: [{ since, deliveries: lossy }] });
  const lost = `${keyOf(first)}, number ${first.metrics.n}`;
  assert.deepEqual(found, [`Missing: ${lost}`, `Gap: ${lost}, on connection 0`]);
}

Deno.test({
  name: `The writer of samples loses none of them to a killed InfluxDB${
    findInfluxd() === null ? " (left out: influxd is not installed)" : ""
  }`,
  ignore: findInfluxd() === null,
  async fn() {
    await using store = await InfluxStore.openInfluxd();
    assert(store.server !== null);
    await writeThroughOutage(store, store.server);
  },
});

Deno.test({
  name: `The writers of samples and alerts lose nothing to a killed PostgreSQL${
    findPostgres() === null ? " (left out: PostgreSQL is not installed)" : ""
  }`,
  ignore: findPostgres() === null,
  async fn() {
    await using postgres = await openPostgres();
    await using store = new TableStore(postgres);
    await using alerts = new AlertWriter({ postgres, deviceId: "dev-1", everyMs: 10 });
    await writeThroughOutage(store, {
      kill: () => postgres.kill(),
      start: () => postgres.restart("fast"),
    });
    await until(() => alerts.written.length > 12, { withinMs, what: "alerts" });
    await alerts.end();
    assert(alerts.failures > 0);
    const stored = await alerts.readAll();
    const states = alerts.written.map(({ alertId, closedAt }) => [alertId, closedAt === null]);
    assert.deepEqual(stored.map(({ alertId, isOpen }) => [alertId, isOpen]), states);
    assert(stored.some(({ isOpen }) => isOpen) && stored.some(({ severity }) => severity === 4));
  },
});

const timestamps = [1, 2, 3, 4].map((second) => `2026-11-18T11:00:0${second}.000000000Z`);
const STORED: readonly NumberedSample[] = timestamps.map((timestamp, index) => ({
  deviceId: "dev-1",
  timestamp,
  n: index + 1,
}));
const [ONE, TWO, THREE, FOUR] = STORED.map((sample) => deliver(sample)) as [
  Delivery,
  Delivery,
  Delivery,
  Delivery,
];

function deliver({ n, ...sample }: NumberedSample): Delivery {
  return { ...sample, metrics: { n }, from: "live" };
}

/**
 * What is found of a client with these deliveries on its connections, all but the first of which ask from the first
 * sample on; the second sample is a late one.
 */
function judge(...connections: readonly (readonly Delivery[])[]): readonly string[] {
  return sampleFaults({
    stored: STORED,
    acknowledged: STORED,
    connections: connections.map((deliveries, index) => ({
      since: new Map(index === 0 ? [] : [[ONE.deviceId, ONE.timestamp]]),
      deliveries: [...deliveries],
    })),
    isLate: ({ timestamp }) => timestamp === TWO.timestamp,
  }).map((fault) => fault.split(":")[0]!);
}

Deno.test("The comparison passes whoever got everything, over as many connections as it took", () => {
  assert.deepEqual(judge([ONE, TWO, THREE, FOUR]), []);
  assert.deepEqual(judge([ONE, TWO], [], [TWO, THREE, FOUR]), []);
  assert.deepEqual(judge([ONE, THREE, TWO, FOUR]), []);
  assert.deepEqual(judge([ONE, THREE], [TWO, THREE, FOUR]), []);
});

Deno.test("The comparison finds each sample that is missing, repeated, misplaced, altered or made up", () => {
  assert.deepEqual(judge([ONE, TWO, FOUR]), ["Missing", "Gap"]);
  assert.deepEqual(judge([ONE, THREE, FOUR]), ["Missing"]);
  assert.deepEqual(judge([ONE, TWO, FOUR], [TWO, THREE, FOUR]), ["Gap"]);
  assert.deepEqual(judge(), ["Missing", "Missing", "Missing", "Missing"]);
  assert.deepEqual(judge([ONE, TWO, TWO, THREE, FOUR]), ["Twice"]);
  assert.deepEqual(judge([ONE, TWO, FOUR, THREE]), ["Out of order"]);
  const fromHistory = { ...TWO, from: "history" } as const;
  assert.deepEqual(judge([ONE, THREE, fromHistory, FOUR]), ["Out of order"]);
  assert.deepEqual(judge([ONE, TWO, THREE, { ...FOUR, metrics: { n: 5 } }]), ["Not as stored"]);
  assert.deepEqual(judge([ONE, TWO, THREE, FOUR, { ...FOUR, deviceId: "dev-2" }]), [
    "Not in the database",
  ]);
});

Deno.test("The comparison finds what the database itself lost", () => {
  const found = sampleFaults({
    stored: STORED.slice(1),
    acknowledged: STORED,
    connections: [{ since: new Map(), deliveries: [TWO, THREE, FOUR] }],
    isLate: () => false,
  });
  assert.deepEqual(found, [
    `The database lost ${keyOf(ONE)}`,
    "The database's numbers of dev-1 break off before 1",
  ]);
});

/** Alert 1 is open and was updated, alert 2 closed, alert 3 opened and closed between two reads. */
const ROWS: readonly StoredAlert[] = [
  { alertId: 1, isOpen: true, severity: 4, summary: "worse" },
  { alertId: 2, isOpen: false, severity: 2, summary: "" },
  { alertId: 3, isOpen: false, severity: 2, summary: "" },
];
const WRITTEN: readonly WrittenAlert[] = ROWS.map(({ alertId, isOpen }) => ({
  alertId,
  openedAt: 0,
  closedAt: isOpen ? null : 1,
}));
const [FIRST, SECOND, THIRD] = [1, 2, 3].map((id) => alertOf(id)) as [Alert, Alert, Alert];
const WORSE = { ...FIRST, severity: 4, summary: "worse" };

function judgeAlerts(tell: (replay: AlertReplay) => void): readonly string[] {
  const replay = new AlertReplay();
  replay.connected();
  tell(replay);
  return [...replay.faults, ...alertFaults({ stored: ROWS, written: WRITTEN, replay })];
}

Deno.test("The comparison passes whoever knows the open alerts and was told of every other", () => {
  const found = judgeAlerts((replay) => {
    replay.list([SECOND, FIRST]);
    replay.changes({ opened: [THIRD], updated: [WORSE], closed: [2, 3] });
    replay.connected();
    replay.list([WORSE]);
    replay.changes({ opened: [THIRD], updated: [], closed: [3, 2] });
  });
  assert.deepEqual(found, []);
});

Deno.test("The comparison finds each alert that was not reported, not closed, not updated or told twice", () => {
  const told = (changes: Parameters<AlertReplay["changes"]>[0], list = [SECOND, FIRST]) =>
    judgeAlerts((replay) => {
      replay.list(list);
      replay.changes(changes);
    });
  const all = { opened: [THIRD], updated: [WORSE], closed: [2, 3] };
  assert.deepEqual(told(all), []);
  assert.deepEqual(told({ ...all, opened: [], closed: [2] }), [
    "Alert 3 was never reported",
    "Alert 3 was never reported to be closed",
  ]);
  assert.deepEqual(told({ ...all, closed: [3] }), [
    "Alert 2 was never reported to be closed",
    "Alert 2 is closed, the client has it otherwise",
  ]);
  assert.deepEqual(told({ ...all, updated: [] }), [
    'Alert 1 is 4, "worse", the client has 3, "Too warm"',
  ]);
  assert.deepEqual(told({ ...all, closed: [2, 3, 1] }), [
    "Alert 1 is open, the client has it otherwise",
  ]);
  assert.deepEqual(told({ ...all, opened: [THIRD, THIRD] }), [
    "Alert 3 was opened twice on one connection",
  ]);
  assert.deepEqual(told({ ...all, closed: [2, 2, 3] }), [
    "Alert 2 was closed twice on one connection",
  ]);
  assert.deepEqual(told({ ...all, opened: [THIRD, alertOf(4)], closed: [2, 3, 4] }), [
    "Alert 4 is not in the table",
  ]);
  assert.deepEqual(told({ ...all, closed: [2, 3, 5] }), [
    "Alert 5 was closed and never reported",
  ]);
  assert.deepEqual(told(all, [SECOND]), ["Alert 1 was updated and is not open"]);
  const disordered = judgeAlerts((replay) => {
    replay.list([SECOND, FIRST]);
    replay.changes(all);
    replay.connected();
    replay.changes({ opened: [], updated: [], closed: [] });
    replay.list([WORSE]);
    replay.list([WORSE]);
  });
  assert.deepEqual(disordered, [
    "Changes came before the list",
    "A connection was sent a second list",
  ]);
});
