import assert from "node:assert/strict";
import type { TenantUsage } from "../../src/observe/metrics.ts";
import { mergedText } from "../../src/observe/merged_metrics.ts";
import { PrometheusMetrics } from "../../src/observe/prometheus_metrics.ts";
import { PrometheusText } from "./prometheus_text.ts";

const MEMORY = { rss: 4, heapUsed: 1, heapTotal: 2, external: 3 };

function metrics({ hasTenantLabel = false } = {}): PrometheusMetrics {
  return new PrometheusMetrics({
    version: "1.2.3",
    hasTenantLabel,
    memory: () => MEMORY,
    now: () => 5_000,
  });
}

const textOf = async (of: PrometheusMetrics) => new PrometheusText(await of.text());

function usage(tenantId: string, sockets: number): TenantUsage {
  return {
    tenantId,
    connections: { websocket: sockets, events: 1 },
    subscriptions: { device: 10, all_devices: 2, alerts: 3, fleet: 4 },
  };
}

function watch(of: PrometheusMetrics, tenants: () => readonly TenantUsage[]): void {
  of.watch({
    tenants,
    feeds: () => ({
      feeds: 2,
      snapshotAgeMs: { telemetry: 1_500, alerts: 0 },
      stretch: { telemetry: 3, alerts: 1 },
    }),
    sources: () => ({ telemetry: { state: "degraded" }, alerts: { state: "ok" } }),
    crossings: () => [["connections", 0], ["message_bytes", 7]],
  });
}

Deno.test("What rooms tell is counted, times in seconds", async () => {
  const of = metrics();
  of.ticked(30);
  of.ticked(-1);
  of.read("telemetry", { durationMs: 40, fault: null });
  of.read("telemetry", { durationMs: 40, fault: "unavailable" });
  of.readDevices(60);
  of.listensAgain();
  of.handshake("admitted");
  of.handshake("invalid_token");
  of.missedTick();
  of.sent({ frames: 10, bytes: 2_000 });
  of.sent({ frames: 1, bytes: 5 });
  of.encoded(3);
  of.freshness(1_200);
  of.loopLag(2);
  of.fault();
  const text = await textOf(of);
  assert.equal(text.value("pulsewire_ticks_total"), 2);
  assert.equal(text.value("pulsewire_tick_lateness_seconds_sum"), 0.03);
  assert.equal(text.value("pulsewire_reads_total", { source: "telemetry" }), 2);
  assert.equal(text.value("pulsewire_reads_total", { source: "alerts" }), 0);
  const fault = { source: "telemetry", fault: "unavailable" };
  assert.equal(text.value("pulsewire_read_errors_total", fault), 1);
  const bucket = { source: "telemetry", le: 0.05 };
  assert.equal(text.value("pulsewire_read_duration_seconds_bucket", bucket), 2);
  assert.equal(text.value("pulsewire_read_devices_bucket", { le: 50 }), 0);
  assert.equal(text.value("pulsewire_read_devices_bucket", { le: 100 }), 1);
  assert.equal(text.value("pulsewire_listen_reconnects_total"), 1);
  assert.equal(text.value("pulsewire_handshakes_total", { outcome: "invalid_token" }), 1);
  assert.equal(text.value("pulsewire_missed_ticks_total"), 1);
  assert.equal(text.value("pulsewire_sent_frames_total"), 11);
  assert.equal(text.value("pulsewire_sent_bytes_total"), 2_005);
  assert.equal(text.value("pulsewire_encoded_frames_total"), 3);
  assert.equal(text.value("pulsewire_freshness_seconds_sum"), 1.2);
  assert.equal(text.value("pulsewire_event_loop_lag_seconds_sum"), 0.002);
  assert.equal(text.value("pulsewire_uncaught_exceptions_total"), 1);
  assert.equal(text.value("pulsewire_start_time_seconds"), 5);
  assert.equal(text.value("pulsewire_build_info", { version: "1.2.3" }), 1);
  assert.equal(text.value("pulsewire_memory_bytes", { kind: "heap_used" }), 1);
});

Deno.test("Asking twice counts nothing twice", async () => {
  const of = metrics();
  watch(of, () => [usage("acme", 5)]);
  of.ticked(0);
  await of.text();
  const text = await textOf(of);
  assert.equal(text.value("pulsewire_ticks_total"), 1);
  assert.equal(text.value("pulsewire_connections", { transport: "websocket" }), 5);
  assert.equal(text.value("pulsewire_limit_crossings_total", { limit: "message_bytes" }), 7);
});

Deno.test("Tenants are summed up, and named only where that is wished", async () => {
  const summed = metrics();
  watch(summed, () => [usage("acme", 5), usage("globex", 2)]);
  const text = await textOf(summed);
  assert.equal(text.value("pulsewire_connections", { transport: "websocket" }), 7);
  assert.equal(text.value("pulsewire_subscriptions", { kind: "device" }), 20);
  assert.equal(text.series("pulsewire_connections").length, 2);
  const named = metrics({ hasTenantLabel: true });
  watch(named, () => [usage("acme", 5), usage("globex", 2)]);
  const labelled = await textOf(named);
  const acme = { transport: "websocket", tenant: "acme" };
  assert.equal(labelled.value("pulsewire_connections", acme), 5);
  assert.equal(labelled.series("pulsewire_connections").length, 4);
});

Deno.test("A tenant that left is not shown with what it had", async () => {
  const of = metrics({ hasTenantLabel: true });
  let tenants = [usage("acme", 5)];
  watch(of, () => tenants);
  await of.text();
  tenants = [];
  assert.deepEqual((await textOf(of)).series("pulsewire_connections"), []);
});

Deno.test("Feeds and sources are shown as they are when somebody asks", async () => {
  const of = metrics();
  watch(of, () => []);
  const text = await textOf(of);
  const telemetry = { source: "telemetry" };
  assert.equal(text.value("pulsewire_feeds"), 2);
  assert.equal(text.value("pulsewire_snapshot_age_seconds", telemetry), 1.5);
  assert.equal(text.value("pulsewire_interval_stretch_ratio", telemetry), 3);
  assert.equal(text.value("pulsewire_source_degraded", telemetry), 1);
  assert.equal(text.value("pulsewire_source_degraded", { source: "alerts" }), 0);
  assert.equal(text.value("pulsewire_connections", { transport: "events" }), 0);
});

Deno.test("Whether notifications are heard is shown by whoever is to hear them, and by no other", async () => {
  const [keeper, worker] = [metrics(), metrics()];
  let isHearing: boolean | null = null;
  keeper.watch({ hearing: () => isHearing });
  const shown = async () => {
    const alone = (await textOf(keeper)).series("pulsewire_listening").length;
    const families = await Promise.all([keeper, worker].map((each) => each.families()));
    const text = new PrometheusText(await mergedText(families));
    assert.equal(text.series("pulsewire_listening").length, alone);
    return text.value("pulsewire_listening");
  };
  assert.equal(await shown(), undefined);
  isHearing = false;
  assert.equal(await shown(), 0);
  isHearing = true;
  assert.equal(await shown(), 1);
  isHearing = null;
  assert.equal(await shown(), undefined);
});

Deno.test("However many codes peers close with, those without a meaning share a series", async () => {
  const of = metrics();
  for (let code = 3_000; code < 5_000; code++) of.closed(code);
  of.closed(1_000);
  const text = await textOf(of);
  assert.equal(text.value("pulsewire_closes_total", { code: "other" }), 1_997);
  assert.equal(text.value("pulsewire_closes_total", { code: 4_008 }), 1);
  assert.equal(text.value("pulsewire_closes_total", { code: 1_000 }), 1);
  assert.equal(text.series("pulsewire_closes_total").length, 5);
});

Deno.test("Two apps of one process share no numbers", async () => {
  const [one, other] = [metrics(), metrics()];
  one.ticked(0);
  assert.equal((await textOf(one)).value("pulsewire_ticks_total"), 1);
  assert.equal((await textOf(other)).value("pulsewire_ticks_total"), 0);
});
