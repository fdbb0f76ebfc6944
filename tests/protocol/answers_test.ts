// The answers to a client's messages as they stand on the wire, compared as text: names, values and their order.
import assert from "node:assert/strict";
import { fakeSources } from "../support/fake_sources.ts";
import { alertOf, sampleAt } from "../support/samples.ts";
import { startService } from "../support/service.ts";

const ANSWERS: ReadonlyArray<readonly [sent: string, answered: string]> = [
  [
    '{"action":"subscribe","type":"device","device_id":"dev-0001"}',
    '{"type":"subscribed","channel":"device","device_id":"dev-0001"}',
  ],
  ['{"action":"subscribe","type":"alerts"}', '{"type":"subscribed","channel":"alerts"}'],
  [
    '{"action":"unsubscribe","type":"device","device_id":"dev-0001"}',
    '{"type":"unsubscribed","channel":"device","device_id":"dev-0001"}',
  ],
  ['{"action":"unsubscribe","type":"alerts"}', '{"type":"unsubscribed","channel":"alerts"}'],
  // What is not followed can be left all the same, and following twice is following once.
  [
    '{"action":"unsubscribe","type":"device","device_id":"never"}',
    '{"type":"unsubscribed","channel":"device","device_id":"never"}',
  ],
  [
    '{"action":"subscribe","type":"device"}',
    '{"type":"error","message":"device_id required for device subscription","code":"device_id_required"}',
  ],
  [
    '{"action":"unsubscribe","type":"device"}',
    '{"type":"error","message":"device_id required for device unsubscription","code":"device_id_required"}',
  ],
  ["{", '{"type":"error","message":"Message is not valid JSON","code":"invalid_json"}'],
  [
    "[1]",
    '{"type":"error","message":"Message must be a JSON object, not an array","code":"invalid_message"}',
  ],
  [
    '{"action":"fly","type":"device"}',
    '{"type":"error","message":"Unknown action, expected \\"subscribe\\" or \\"unsubscribe\\"","code":"unknown_action"}',
  ],
  [
    '{"action":"subscribe","type":"site"}',
    '{"type":"error","message":"Unknown type, expected \\"device\\" or \\"alerts\\"","code":"unknown_type"}',
  ],
  [
    '{"action":"subscribe","type":1}',
    '{"type":"error","message":"type must be a string, not a number","code":"invalid_message"}',
  ],
  [
    '{"action":"subscribe","type":"device","device_id":5}',
    '{"type":"error","message":"device_id must be a string, not a number","code":"invalid_device_id"}',
  ],
  [
    `{"action":"subscribe","type":"device","device_id":"${"x".repeat(129)}"}`,
    '{"type":"error","message":"device_id must be at most 128 bytes of UTF-8","code":"invalid_device_id","limit":"device_id_bytes","value":128}',
  ],
  [
    '{"action":"subscribe","type":"device","device_ids":["*"]}',
    '{"type":"error","message":"Each of device_ids must not be \\"*\\", which is reserved","code":"invalid_device_id"}',
  ],
  [
    `{"action":"subscribe","type":"device","device_ids":["${"x".repeat(129)}"]}`,
    '{"type":"error","message":"device_id must be at most 128 bytes of UTF-8","code":"invalid_device_id","limit":"device_id_bytes","value":128}',
  ],
  [
    '{"action":"subscribe","type":"device","device_ids":[]}',
    '{"type":"error","message":"device_ids must hold 1 to 500 devices, not 0","code":"invalid_message"}',
  ],
];

Deno.test("Every message is answered in the protocol's own words and order", async () => {
  await using service = await startService({
    sources: fakeSources(),
    settings: { WS_POLL_SECONDS: "60" },
  });
  await using client = await service.connect();
  for (const [sent, answered] of ANSWERS) {
    // Nothing is stored and the poll is far, so that the only pushes are first lists of alerts.
    const from = client.texts.length;
    client.send(sent);
    await client.next(({ type }) => type !== "alerts", { from });
    assert.equal(
      client.texts.slice(from).find((text) => !text.startsWith('{"type":"alerts"')),
      answered,
    );
  }
});

Deno.test("Pushes carry their fields in the protocol's order", async () => {
  const sources = fakeSources();
  const metrics = { temp_c: 22, battery_pct: 88, mode: "auto", big: "9007199254740993", on: true };
  sources.put("acme", "dev-0001", sampleAt(1, metrics));
  sources.setAlerts("acme", [alertOf(7)]);
  await using service = await startService({ sources });
  await using client = await service.connect();
  await client.subscribe("dev-0001");
  await client.next(({ type }) => type === "telemetry");
  assert(client.texts.includes(
    '{"type":"telemetry","device_id":"dev-0001","data":{"timestamp":"2026-11-18T11:00:01.000000000Z",' +
      '"metrics":{"temp_c":22,"battery_pct":88,"mode":"auto","big":"9007199254740993","on":true}}}',
  ));
  await client.ask({ action: "subscribe", type: "alerts" });
  await client.next(({ type }) => type === "alerts");
  assert(client.texts.includes(
    '{"type":"alerts","alerts":[{"alert_id":7,"tenant_id":"acme","device_id":"dev-1","site_id":"plant-a",' +
      '"alert_type":"over_temperature","severity":3,"confidence":0.9,"summary":"Too warm",' +
      '"status":"OPEN","created_at":"2026-11-18T11:00:00.000000Z"}]}',
  ));
});

Deno.test("An empty list of alerts is sent as an empty list, at every poll", async () => {
  await using service = await startService({ sources: fakeSources() });
  await using client = await service.connect();
  await client.ask({ action: "subscribe", type: "alerts" });
  await client.push("alerts");
  await client.push("alerts");
  assert(client.texts.includes('{"type":"alerts","alerts":[]}'));
});

Deno.test("A binary frame is answered with an error, the socket and its subscriptions stay", async () => {
  const sources = fakeSources();
  sources.put("acme", "dev-1", sampleAt(1));
  await using service = await startService({ sources });
  await using client = await service.connect();
  await client.subscribe("dev-1");
  const from = client.texts.length;
  client.raw.send(
    new TextEncoder().encode('{"action":"unsubscribe","type":"device","device_id":"dev-1"}'),
  );
  await client.next(({ type }) => type === "error", { from });
  assert(client.texts.includes(
    '{"type":"error","message":"Binary frames are not supported, send JSON as text","code":"unsupported_data"}',
  ));
  await client.push("telemetry", "dev-1");
});

Deno.test("After every kind of nonsense the socket is open and its subscriptions still push", async () => {
  const sources = fakeSources();
  sources.put("acme", "dev-1", sampleAt(1));
  await using service = await startService({ sources });
  await using client = await service.connect();
  await client.subscribe("dev-1");
  const nonsense = ANSWERS.filter(([, answered]) => answered.includes('"error"'));
  for (const [sent] of nonsense) assert.equal((await client.ask(sent)).type, "error");
  await client.push("telemetry", "dev-1");
  assert.equal(client.isClosed, false);
  assert.equal(service.app.manager.connectionCount, 1);
});

Deno.test("An answer comes before the first push that it announces, and nothing follows its end", async () => {
  const sources = fakeSources();
  sources.put("acme", "dev-1", sampleAt(1));
  await using service = await startService({ sources, settings: { WS_POLL_SECONDS: "0.05" } });
  await using client = await service.connect();
  await using other = await service.connect();
  // The other one keeps the device's state young, so that a first value is at hand at once.
  await other.subscribe("dev-1");
  await other.push("telemetry");
  for (let round = 0; round < 20; round++) {
    const from = client.texts.length;
    client.send({ action: "subscribe", type: "device", device_id: "dev-1" });
    await client.next(({ type }) => type === "telemetry", { from });
    await client.unsubscribe("dev-1");
    const types = client.messages.slice(from).map(({ type }) => type);
    assert.equal(types[0], "subscribed");
    assert.equal(types.at(-1), "unsubscribed");
    assert.equal(types.slice(1, -1).every((type) => type === "telemetry"), true, types.join());
  }
  const quietFrom = client.texts.length;
  await other.push("telemetry");
  await other.push("telemetry");
  assert.equal(client.texts.length, quietFrom);
});

Deno.test("A value that another one follows is sent at once, however far the next poll is", async () => {
  const sources = fakeSources();
  sources.put("acme", "dev-1", sampleAt(1));
  await using service = await startService({
    sources,
    settings: { WS_POLL_SECONDS: "60" },
  });
  await using other = await service.connect();
  await other.subscribe("dev-1");
  await other.next(({ type }) => type === "telemetry");
  const reads = sources.telemetryReads.length;
  await using client = await service.connect();
  await client.subscribe("dev-1");
  await client.next(({ type }) => type === "telemetry");
  assert.equal(sources.telemetryReads.length, reads);
});

Deno.test("A fault of our own is shown as internal and logged with its cause, and the socket goes on", async () => {
  const sources = fakeSources();
  await using service = await startService({ sources });
  await using client = await service.connect();
  const { manager } = service.app;
  const subscribeAlerts = manager.subscribeAlerts.bind(manager);
  manager.subscribeAlerts = () => {
    throw new Error("the table of alerts fell over");
  };
  const from = client.texts.length;
  await client.ask({ action: "subscribe", type: "alerts" });
  assert.equal(client.texts[from], '{"type":"error","message":"Internal error","code":"internal"}');
  const [record] = service.log.of("message_failed");
  assert.equal((record?.fields.error as Error).message, "the table of alerts fell over");
  manager.subscribeAlerts = subscribeAlerts;
  assert.equal((await client.ask({ action: "subscribe", type: "alerts" })).type, "subscribed");
});
