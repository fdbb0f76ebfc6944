import assert from "node:assert/strict";
import { openSources } from "../../src/sources/open_sources.ts";
import { systemClock } from "../../src/clock.ts";
import { PrometheusMetrics } from "../../src/observe/prometheus_metrics.ts";
import { testConfig } from "../support/service.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { alertOf } from "../support/samples.ts";
import { memoryLog } from "../support/memory_log.ts";
import { startService, type TestService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { EventClient } from "../events/event_client.ts";
import { PrometheusText } from "./prometheus_text.ts";

const sample = (second: number) => ({
  timestamp: new Date(Date.now() - 3_600_000 + second * 1_000).toISOString().replace(
    "Z",
    "000000Z",
  ),
  metrics: { temp_c: second },
});

async function scrape(origin: string): Promise<PrometheusText> {
  const response = await fetch(`${origin}/metrics`);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  return new PrometheusText(text);
}

const metricsOrigin = ({ serving }: TestService) =>
  `http://127.0.0.1:${serving.metricsEngine?.port}`;

Deno.test("What clients of both transports do is in the numbers, and nothing that names them", async () => {
  const sources = fakeSources();
  sources.put("acme", "dev-1", sample(1));
  await using service = await startService({ sources });
  const token = await signToken({ tenant_id: "acme" });
  await using stream = await EventClient.open(
    `${service.origin}/api/v2/events?device_id=dev-1&alerts=1&token=${token}`,
  );
  const client = await service.connect({ tenant_id: "acme" });
  client.send({ action: "subscribe", type: "device", device_id: "dev-1" });
  await until(() => client.messages.some(({ type }) => type === "telemetry"));
  await until(() => stream.messages.some(({ type }) => type === "telemetry"));
  const before = await scrape(service.origin);
  assert.equal(before.value("pulsewire_freshness_seconds_count"), 0, "first values are not news");
  for (const transport of ["websocket", "events"]) {
    assert.equal(before.value("pulsewire_connections", { transport }), 1);
  }
  assert.equal(before.value("pulsewire_subscriptions", { kind: "device" }), 2);
  assert.equal(before.value("pulsewire_subscriptions", { kind: "alerts" }), 1);
  assert.equal(before.value("pulsewire_feeds"), 1);
  assert.equal(before.value("pulsewire_handshakes_total", { outcome: "admitted" }), 2);
  sources.put("acme", "dev-1", sample(2));
  await until(() => client.messages.some(({ data }) => JSON.stringify(data)?.includes(":2}")));
  await until(() => stream.messages.some(({ data }) => JSON.stringify(data)?.includes(":2}")));
  await client.close();
  const url = `${service.origin}/api/v2/events?token=nonsense`;
  await (await fetch(url)).body?.cancel();
  await until(async () =>
    (await scrape(service.origin)).value("pulsewire_connections", { transport: "websocket" }) === 0
  );
  const after = await scrape(service.origin);
  assert.equal(after.value("pulsewire_handshakes_total", { outcome: "invalid_token" }), 1);
  assert.equal(after.series("pulsewire_closes_total").length, 1);
  assert.equal(after.value("pulsewire_freshness_seconds_count"), 2);
  const ages = after.value("pulsewire_freshness_seconds_sum") ?? 0;
  assert.ok(ages > 2 * 3_000 && ages < 2 * 3_700, `${ages} s for two samples of an hour ago`);
  const count = (name: string) => after.value(name) ?? 0;
  assert.ok(count("pulsewire_ticks_total") > 0);
  assert.ok(count("pulsewire_sent_frames_total") >= 6);
  assert.ok(count("pulsewire_sent_bytes_total") > 6 * 20);
  assert.ok(count("pulsewire_encoded_frames_total") > 0);
  assert.ok(count("pulsewire_encoded_frames_total") < count("pulsewire_sent_frames_total"));
  assert.ok(count("pulsewire_event_loop_lag_seconds_count") > 0);
  const text = await (await fetch(`${service.origin}/metrics`)).text();
  assert.doesNotMatch(text, /acme|user-1|dev-1|127\.0\.0\.1|example\.com/);
});

Deno.test("Every limit is shown, with how often it was crossed", async () => {
  await using service = await startService({ sources: fakeSources() });
  service.app.ledger.crossed("message_bytes");
  const text = await scrape(service.origin);
  assert.equal(text.value("pulsewire_limit_crossings_total", { limit: "message_bytes" }), 1);
  assert.equal(text.value("pulsewire_limit_crossings_total", { limit: "connections" }), 0);
});

Deno.test("With a port of their own the numbers are off the public one, and that port has nothing else", async () => {
  const settings = { METRICS_PORT: "0", METRICS_HOST: "127.0.0.1", METRICS_TENANT_LABEL: "true" };
  await using service = await startService({ sources: fakeSources(), settings });
  const hidden = await fetch(`${service.origin}/metrics`);
  assert.equal(hidden.status, 404);
  await hidden.body?.cancel();
  await using _client = await service.connect({ tenant_id: "acme" });
  const origin = metricsOrigin(service);
  const labels = { transport: "websocket", tenant: "acme" };
  assert.equal((await scrape(origin)).value("pulsewire_connections", labels), 1);
  for (
    const [path, method, status] of [
      ["/livez", "GET", 404],
      ["/api/v2/devices", "GET", 404],
      ["/metrics", "POST", 405],
      ["/metrics", "HEAD", 200],
    ] as const
  ) {
    const response = await fetch(`${origin}${path}`, { method });
    assert.equal(response.status, status, `${method} ${path}`);
    await response.body?.cancel();
  }
  const upgrade = await new Promise<string>((resolve) => {
    const socket = new WebSocket(`${origin.replace("http", "ws")}/api/v2/ws`);
    socket.onclose = () => resolve("closed");
    socket.onopen = () => resolve("opened");
  });
  assert.equal(upgrade, "closed");
});

Deno.test("A port for the numbers that is taken ends the start, and frees the public one", async () => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const settings = { METRICS_PORT: String(taken.addr.port) };
  try {
    await assert.rejects(
      startService({ sources: fakeSources(), settings }),
      /Cannot listen on 127\.0\.0\.1 port \d+: it is in use/,
    );
  } finally {
    taken.close();
  }
});

Deno.test("A channel that was never heard is seen in the numbers, and none is where none is set", async () => {
  for (const [channel, shown] of [["fleet_alert", 0], ["", undefined]] as const) {
    await using service = await startService({
      sources: (config, log) => openSources(config, { clock: systemClock, log }),
      settings: { ALERT_NOTIFY_CHANNEL: channel },
    });
    assert.equal((await scrape(service.origin)).value("pulsewire_listening"), shown);
  }
});

Deno.test("Reads of a database that can't be reached are counted as what they are", async () => {
  const metrics = new PrometheusMetrics({ version: "1", hasTenantLabel: false });
  const log = memoryLog();
  const config = testConfig();
  await using sources = openSources(config, { clock: systemClock, log, metrics });
  const { signal } = new AbortController();
  const query = { tenantId: "acme", deviceIds: ["dev-1"], signal };
  await assert.rejects(sources.telemetry.readLatest(query));
  await assert.rejects(sources.telemetry.readLatest(query));
  const text = new PrometheusText(await metrics.text());
  const telemetry = { source: "telemetry" };
  assert.equal(text.value("pulsewire_reads_total", telemetry), 2);
  const fault = { ...telemetry, fault: "unavailable" };
  assert.equal(text.value("pulsewire_read_errors_total", fault), 2);
  assert.equal(text.value("pulsewire_read_duration_seconds_count", telemetry), 2);
  assert.equal(text.value("pulsewire_read_devices_count"), 0);
});

Deno.test("Lists that are cut count as crossings of their limits, at each read", async () => {
  const sources = fakeSources();
  for (const id of ["dev-1", "dev-2"]) sources.put("acme", id, sample(1));
  sources.setAlerts("acme", [alertOf(2), alertOf(1)]);
  const settings = { MAX_FLEET_DEVICES: "1", MAX_OPEN_ALERTS: "1", WS_POLL_SECONDS: "0.05" };
  await using service = await startService({ sources, settings });
  const client = await service.connect({ tenant_id: "acme" });
  client.send({ action: "subscribe", type: "device", device_id: "*" });
  client.send({ action: "subscribe", type: "alerts", mode: "changes" });
  for (const limit of ["fleet_devices", "open_alerts"]) {
    await until(async () => {
      const crossings = (await scrape(service.origin))
        .value("pulsewire_limit_crossings_total", { limit }) ?? 0;
      return crossings > 1;
    });
  }
});
