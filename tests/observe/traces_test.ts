import assert from "node:assert/strict";
import { ServiceProcess } from "../service/service_process.ts";
import { TestClient } from "../support/client.ts";
import { signToken, TEST_SECRET } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { attributeOf, OtlpReceiver, type ReceivedSpan } from "./otlp_receiver.ts";

/** A database that answers every read with a refusal, so that reads end at once. */
function refusingInflux(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => Response.json({ results: [{ statement_id: 0 }] }),
  );
}

Deno.test("Ticks, their reads and handshakes are traced, and no token is exported", async () => {
  await using receiver = new OtlpReceiver();
  const influx = refusingInflux();
  const token = await signToken({ tenant_id: "acme" });
  const secondToken = await signToken({ tenant_id: "acme", sub: "user-2" });
  const service = await ServiceProcess.start({
    DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
    INFLUXDB_URL: `http://127.0.0.1:${influx.addr.port}`,
    JWT_SECRET: TEST_SECRET,
    HOST: "127.0.0.1",
    PORT: "0",
    WS_POLL_SECONDS: "0.2",
    LOG_LEVEL: "debug",
    DRAIN_SECONDS: "0",
    ...receiver.environment,
  });
  try {
    const port = await service.port();
    const origin = `http://127.0.0.1:${port}`;
    const client = await TestClient.connect(`ws://127.0.0.1:${port}/api/v2/ws?token=${token}`);
    client.send({ action: "subscribe", type: "device", device_id: "dev-1" });
    for (
      const path of [
        `/api/v2/events?device_id=dev-1&token=${secondToken}`,
        `/api/v2/events?%74oken=${secondToken}`,
        `/api/v2/events?token=${token}broken`,
        `/livez?token=${token}`,
        `/nowhere?ticket=${token}`,
      ]
    ) {
      const response = await fetch(`${origin}${path}`);
      await response.body?.cancel();
    }
    const refused = new WebSocket(`ws://127.0.0.1:${port}/api/v2/ws?token=${token}broken`);
    await new Promise((resolve) => refused.onclose = resolve);
    const names = () => new Set(receiver.spans.map(({ name }) => name));
    await until(() => ["tick", "read telemetry", "handshake"].every((name) => names().has(name)));
    const handshakes = () => receiver.spans.filter(({ name }) => name === "handshake");
    await until(() => handshakes().length >= 5);
    await until(() => receiver.spans.some((span) => attributeOf(span, "url.path") === "/nowhere"));
    await until(() => receiver.signals.has("/v1/logs") && receiver.signals.has("/v1/metrics"));
    await client.close();
    // It is not asked to leave: while traces are exported the runtime may never end by itself.
    const outcomes = () => handshakes().map((span) => attributeOf(span, "pulsewire.outcome"));
    await until(() => outcomes().includes("admitted") && outcomes().includes("invalid_token"));
    const ticks = () =>
      new Set(receiver.spans.filter(({ name }) => name === "tick").map(({ spanId }) => spanId));
    const isReadOfTick = ({ name, parentSpanId = "" }: ReceivedSpan) =>
      name === "read telemetry" && ticks().has(parentSpanId);
    await until(() => receiver.spans.some(isReadOfTick), { what: "A read that is a tick's part" });
    const isTraced = () => {
      const traces = new Set(receiver.spans.map(({ traceId }) => traceId));
      return service.records.some(({ message, trace_id }) =>
        message === "handshake_refused" && traces.has(String(trace_id))
      );
    };
    await until(isTraced, { what: "A line of the log that leads to its trace" });
    for (const secret of [token, secondToken]) {
      for (const part of secret.split(".").slice(1)) {
        assert.ok(!receiver.text.includes(part), "a token was exported");
        assert.ok(!service.said.includes(part), "a token was logged");
      }
    }
  } finally {
    await service[Symbol.asyncDispose]();
    await influx.shutdown();
  }
});

Deno.test("The engine whose spans would hold tokens does not start while traces are exported", async () => {
  await using service = await ServiceProcess.start({
    DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
    INFLUXDB_URL: "http://127.0.0.1:1",
    JWT_SECRET: TEST_SECRET,
    PORT: "0",
    WS_ENGINE: "deno",
    OTEL_DENO: "true",
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
  });
  const { code } = await service.status;
  assert.equal(code, 2, service.said);
  assert.match(service.said, /WS_ENGINE must be ws while traces are exported/);
});

Deno.test("While nothing is exported a log has no ids of traces", async () => {
  const { traceIds, inSpan } = await import("../../src/observe/traces.ts");
  assert.deepEqual(traceIds(), {});
  await inSpan("tick", () => Promise.resolve(assert.deepEqual(traceIds(), {})));
});
