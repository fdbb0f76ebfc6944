// What a feed does while a database fails it: nothing that was not read is sent, and whoever is well goes on.
import assert from "node:assert/strict";
import { SourceError } from "../../src/sources/source_error.ts";
import { outage } from "../support/fake_sources.ts";
import { sampleAt } from "../support/samples.ts";
import { feedFixture, POLL_MS, timedSource } from "./feed_fixture.ts";

const missing = () => new SourceError("missing", 'Bucket "telemetry_acme" does not exist');

Deno.test("A source that fails sends nothing and leaves the other going", async () => {
  for (const failing of ["telemetry", "alerts"] as const) {
    const feed = feedFixture();
    feed.sources.put("acme", "dev-1", sampleAt(1));
    feed.connect();
    feed.follow(["dev-1"]);
    feed.followAlerts();
    await feed.clock.advance(POLL_MS);
    feed.forget();
    if (failing === "telemetry") feed.sources.telemetryFault = outage;
    else feed.sources.alertFault = outage;
    await feed.clock.advance(2 * POLL_MS);
    const snapshots = feed.take();
    assert.equal(snapshots.length, 2);
    for (const { devices, alerts } of snapshots) {
      assert.equal(devices.length, failing === "telemetry" ? 0 : 1);
      assert.equal(alerts === null, failing === "alerts");
    }
    feed.sources.telemetryFault = null;
    feed.sources.alertFault = null;
    await feed.clock.advance(POLL_MS);
    const [recovered] = feed.take();
    assert.equal(recovered?.devices.length, 1);
    assert.notEqual(recovered?.alerts, null);
    feed.feeds[Symbol.dispose]();
  }
});

Deno.test("A failure of the tenant's own is one log line when it begins and one when it ends", async () => {
  const feed = feedFixture();
  feed.connect();
  feed.follow(["dev-1", "dev-2"]);
  const error = new SourceError("denied", "Token is not accepted");
  feed.sources.telemetryFault = () => error;
  await feed.clock.advance(5 * POLL_MS);
  feed.sources.telemetryFault = null;
  await feed.clock.advance(5 * POLL_MS);
  const fields = { source: "telemetry", tenant: "acme" };
  assert.deepEqual(feed.log.records, [
    { level: "warning", event: "read_failed", fields: { ...fields, kind: "denied", error } },
    { level: "info", event: "read_recovered", fields },
  ]);
  feed.sources.telemetryFault = () => error;
  await feed.clock.advance(5 * POLL_MS);
  assert.equal(feed.log.of("read_failed").length, 2, "it is told again after it ended");
  feed.feeds[Symbol.dispose]();
});

Deno.test("An outage that hits everybody is not told once a tenant", async () => {
  const feed = feedFixture(() => ({
    states: () => ({
      telemetry: { state: "degraded", since: 0, retryAt: 0 },
      alerts: { state: "ok", since: 0, retryAt: null },
    }),
  }));
  feed.sources.telemetryFault = outage;
  feed.connect();
  feed.follow(["dev-1"]);
  await feed.clock.advance(5 * POLL_MS);
  feed.sources.telemetryFault = null;
  await feed.clock.advance(POLL_MS);
  assert.deepEqual(feed.log.records, []);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A tenant whose bucket is missing is read after growing pauses and the others at every tick", async () => {
  let source: ReturnType<typeof timedSource> | undefined;
  const feed = feedFixture((parts) => ({ telemetry: source = timedSource(parts, 0) }));
  feed.sources.telemetryFault = ({ tenantId }) => tenantId === "acme" ? missing() : null;
  feed.connect();
  feed.feeds.change({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: 1 }] });
  await feed.clock.advance(30 * POLL_MS);
  // Three quarters of 1, 2, 4, 8 … intervals, then the first tick after it.
  assert.deepEqual(source?.beganAt, [500, 1500, 3500, 6500, 12_500, 24_500]);
  feed.connect("globex");
  feed.follow(["dev-1"], "globex");
  feed.forget();
  await feed.clock.advance(5 * POLL_MS);
  const tenants = feed.sources.telemetryReads.map(({ tenantId }) => tenantId);
  assert.deepEqual(tenants, Array(6).fill("globex"), "a first read and five ticks");
  await feed.clock.advance(200 * POLL_MS);
  const mine = feed.sources.telemetryReads.filter(({ tenantId }) => tenantId === "acme").length;
  assert.equal(mine, 5, "after 48.5 s and then every 45 s, never rarer");
  feed.feeds[Symbol.dispose]();
});

Deno.test("A tenant whose bucket refuses the credentials is read after growing pauses too", async () => {
  let source: ReturnType<typeof timedSource> | undefined;
  const feed = feedFixture((parts) => ({ telemetry: source = timedSource(parts, 0) }));
  feed.sources.telemetryFault = () => new SourceError("denied", "Not authorized");
  feed.connect();
  feed.feeds.change({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: 1 }] });
  await feed.clock.advance(10 * POLL_MS);
  assert.deepEqual(source?.beganAt, [500, 1500, 3500, 6500]);
  feed.feeds[Symbol.dispose]();
});

Deno.test("The pauses of two tenants differ", async () => {
  const pauses: number[] = [];
  const feed = feedFixture(() => ({ random: () => pauses.shift() ?? 0.5 }));
  feed.sources.telemetryFault = missing;
  for (const tenantId of ["acme", "globex"]) {
    feed.connect(tenantId);
    feed.feeds.change({ tenantId, devices: [{ deviceId: "dev-1", latest: 1 }] });
  }
  for (let nth = 0; nth < 5; nth++) pauses.push(0, 0.999);
  await feed.clock.advance(4_600);
  const reads = (tenant: string) =>
    feed.sources.telemetryReads.filter(({ tenantId }) => tenantId === tenant).length;
  assert.deepEqual([reads("acme"), reads("globex")], [4, 3]);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A pause ends with the first success", async () => {
  const feed = feedFixture();
  feed.sources.telemetryFault = missing;
  feed.connect();
  feed.feeds.change({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: 1 }] });
  await feed.clock.advance(7 * POLL_MS);
  feed.sources.telemetryFault = null;
  feed.forget();
  await feed.clock.advance(5_500);
  assert.equal(feed.sources.telemetryReads.length, 1, "12,500 ends the pause");
  feed.forget();
  await feed.clock.advance(5 * POLL_MS);
  assert.equal(feed.sources.telemetryReads.length, 5);
  feed.sources.telemetryFault = missing;
  feed.forget();
  await feed.clock.advance(2 * POLL_MS);
  assert.equal(feed.sources.telemetryReads.length, 2, "pauses are short again");
  feed.feeds[Symbol.dispose]();
});

Deno.test("A first value asked for during a pause comes with the tick that ends it", async () => {
  const feed = feedFixture();
  feed.sources.telemetryFault = missing;
  feed.sources.alertFault = missing;
  feed.connect();
  feed.follow(["dev-1"]);
  feed.followAlerts();
  await feed.clock.advance(1_600);
  feed.sources.telemetryFault = null;
  feed.sources.alertFault = null;
  feed.forget();
  feed.follow(["dev-2"]);
  feed.followAlerts();
  await feed.clock.advance(100);
  assert.deepEqual(feed.sources.telemetryReads, []);
  assert.deepEqual(feed.sources.alertReads, []);
  await feed.clock.advance(5 * POLL_MS);
  const [first] = feed.take();
  assert.equal(first?.cause, "tick");
  assert.deepEqual(first?.devices.map(({ deviceId }) => deviceId), ["dev-1", "dev-2"]);
  assert.notEqual(first?.alerts, null);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A tenant of which every query is refused is paused as a whole", async () => {
  const feed = feedFixture();
  feed.sources.telemetryFault = () => new SourceError("rejected", "Query is too long");
  feed.connect();
  const devices = ["dev-1", "dev-2"].map((deviceId) => ({ deviceId, latest: 1 }));
  feed.feeds.change({ tenantId: "acme", devices });
  await feed.clock.advance(30 * POLL_MS);
  assert.equal(feed.sources.telemetryReads.length, 6 * 3, "six attempts of three queries");
  assert.deepEqual(feed.log.records.map(({ event }) => event), ["read_failed"]);
  feed.feeds[Symbol.dispose]();
});

Deno.test("A tenant's only device that is set aside does not count as a recovery", async () => {
  const feed = feedFixture();
  feed.sources.telemetryFault = missing;
  feed.connect();
  feed.follow(["dev-1"]);
  await feed.clock.advance(600);
  feed.sources.telemetryFault = () => new SourceError("rejected", "Field type conflict");
  await feed.clock.advance(10 * POLL_MS);
  assert.deepEqual(feed.log.records.map(({ event }) => event), [
    "read_failed",
    "devices_set_aside",
  ]);
  feed.feeds[Symbol.dispose]();
});
