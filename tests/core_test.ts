// The main job over a real socket: connect, subscribe, receive.
import assert from "node:assert/strict";
import { fakeSources } from "./support/fake_sources.ts";
import { alertOf, sampleAt } from "./support/samples.ts";
import { startService } from "./support/service.ts";

Deno.test("A subscribed device is pushed at once and then at every poll", async () => {
  const sources = fakeSources();
  sources.put("acme", "dev-1", sampleAt(1, { temp_c: 22 }));
  await using service = await startService({ sources });
  await using client = await service.connect();
  assert.deepEqual(await client.subscribe("dev-1"), {
    type: "subscribed",
    channel: "device",
    device_id: "dev-1",
  });
  const push = await client.next(({ type }) => type === "telemetry");
  assert.deepEqual(push, {
    type: "telemetry",
    device_id: "dev-1",
    data: { timestamp: "2026-11-18T11:00:01.000000000Z", metrics: { temp_c: 22 } },
  });
  assert.deepEqual(await client.push("telemetry"), push);
  sources.setAlerts("acme", [alertOf(7)]);
  await client.ask({ action: "subscribe", type: "alerts" });
  assert.deepEqual(await client.push("alerts"), { type: "alerts", alerts: [alertOf(7)] });
});
