// What a session answers beyond subscriptions: ids, ping, hello; and what a client that never asked does not see.
import assert from "node:assert/strict";
import { MESSAGE_ERRORS } from "../../src/errors.ts";
import { alertOf, sampleAt } from "../support/samples.ts";
import { connectionsFixture } from "./connections_fixture.ts";

const ID_ERROR = '{"type":"error","message":"id must be an integer or a string of at most 64 ' +
  'characters","code":"invalid_message"}';

const WITH_ID: ReadonlyArray<readonly [sent: string, answered: string]> = [
  ['{"action":"ping"}', '{"type":"pong"}'],
  ['{"id":7,"action":"ping"}', '{"type":"pong","id":7}'],
  ['{"action":"ping","id":0}', '{"type":"pong","id":0}'],
  ['{"action":"ping","id":-9007199254740991}', '{"type":"pong","id":-9007199254740991}'],
  ['{"action":"ping","id":""}', '{"type":"pong","id":""}'],
  [`{"action":"ping","id":"${"ä".repeat(64)}"}`, `{"type":"pong","id":"${"ä".repeat(64)}"}`],
  [
    '{"action":"subscribe","type":"device","device_id":"d","id":"a"}',
    '{"type":"subscribed","channel":"device","device_id":"d","id":"a"}',
  ],
  [
    '{"action":"unsubscribe","type":"alerts","id":1}',
    '{"type":"unsubscribed","channel":"alerts","id":1}',
  ],
  [
    '{"action":"subscribe","type":"device","id":2}',
    '{"type":"error","message":"device_id required for device subscription",' +
    '"code":"device_id_required","id":2}',
  ],
  [
    '{"action":"fly","id":"x"}',
    `{"type":"error","message":${JSON.stringify(MESSAGE_ERRORS.unknown_action.sentence)},` +
    '"code":"unknown_action","id":"x"}',
  ],
  ['{"action":"ping","id":1.5}', ID_ERROR],
  ['{"action":"ping","id":9007199254740993}', ID_ERROR],
  ['{"action":"ping","id":null}', ID_ERROR],
  ['{"action":"ping","id":true}', ID_ERROR],
  ['{"action":"ping","id":[1]}', ID_ERROR],
  ['{"action":"ping","id":{"a":1}}', ID_ERROR],
  [`{"action":"ping","id":"${"x".repeat(65)}"}`, ID_ERROR],
];
for (const [sent, answered] of WITH_ID) {
  Deno.test(`${sent.slice(0, 70)} is answered ${answered.slice(0, 60)}`, () => {
    using service = connectionsFixture();
    const client = service.connect();
    client.say(sent);
    assert.deepEqual(client.texts(), [answered]);
  });
}

Deno.test("A message whose id is refused does nothing", () => {
  using service = connectionsFixture();
  const client = service.connect();
  client.say('{"action":"subscribe","type":"device","device_id":"d","id":{}}');
  assert.deepEqual(client.texts(), [ID_ERROR]);
  assert.equal(client.connection.devices.size, 0);
});

const hello = (features: unknown) => JSON.stringify({ action: "hello", features });

Deno.test("hello says what the server is, how often it polls, what it bounds and when the token ends", () => {
  using service = connectionsFixture();
  const expiresAt = Date.UTC(2026, 10, 18, 12);
  const client = service.connect("acme", { expiresAt });
  client.say('{"action":"hello","features":["notices"],"id":1}');
  assert.deepEqual(client.texts(), [
    '{"type":"hello","server":"pulsewire/test","poll_seconds":1,"features":["notices"],' +
    '"limits":{"message_bytes":65536,"messages_per_second":50,"subscriptions":500,' +
    '"connections_per_user":200},"token_expires_at":"2026-11-18T12:00:00.000Z","id":1}',
  ]);
});

Deno.test("Another hello replaces the features, and those that nobody knows are left out", () => {
  using service = connectionsFixture();
  const client = service.connect();
  const featuresAfter = (features: unknown) => {
    client.say(hello(features));
    const answer = JSON.parse(client.texts().join());
    return [answer.features, client.connection.has("notices")];
  };
  assert.deepEqual(featuresAfter(["warp", "notices", "notices"]), [["notices"], true]);
  assert.deepEqual(featuresAfter(["warp"]), [[], false]);
  assert.deepEqual(featuresAfter(["notices"]), [["notices"], true]);
  assert.deepEqual(featuresAfter(undefined), [[], false]);
});

Deno.test("A hello whose features are no list of strings, or are too many, changes nothing", () => {
  using service = connectionsFixture();
  const client = service.connect();
  client.say(hello(["notices"]));
  client.take();
  for (const features of ["notices", 1, null, [1], {}, Array(33).fill("x")]) {
    client.say(hello(features));
    const [answer] = client.take();
    assert(answer?.type === "error" && answer.code === "invalid_message", Deno.inspect(features));
  }
  assert(client.connection.has("notices"));
});

Deno.test("A client that only speaks the core protocol sees exactly the messages it saw before", async () => {
  using service = connectionsFixture();
  const now = service.clock.now();
  service.sources.put("acme", "dev-1", sampleAt(1));
  service.sources.setAlerts("acme", [alertOf(7)]);
  // Its token ends while it looks on: it is not told, it is closed.
  const client = service.connect("acme", { expiresAt: now + 3_200 });
  client.follow("dev-1");
  client.followAlerts();
  await service.clock.advance(2_400);
  client.unfollow("dev-1");
  client.unfollowAlerts();
  client.say('{"action":"renew"}');
  await service.clock.advance(2_000);
  const telemetry = '{"type":"telemetry","device_id":"dev-1","data":{"timestamp":' +
    '"2026-11-18T11:00:01.000000000Z","metrics":{"temp_c":1}}}';
  const alerts = `{"type":"alerts","alerts":[${JSON.stringify(alertOf(7))}]}`;
  const texts = client.texts();
  assert.deepEqual(texts.slice(0, 2), [
    '{"type":"subscribed","channel":"device","device_id":"dev-1"}',
    '{"type":"subscribed","channel":"alerts"}',
  ]);
  assert.deepEqual(texts.slice(-3), [
    '{"type":"unsubscribed","channel":"device","device_id":"dev-1"}',
    '{"type":"unsubscribed","channel":"alerts"}',
    '{"type":"error","message":"Unknown action, expected \\"subscribe\\" or \\"unsubscribe\\"",' +
    '"code":"unknown_action"}',
  ]);
  const pushes = texts.slice(2, -3);
  assert(pushes.length >= 6);
  for (const push of pushes) assert(push === telemetry || push === alerts, push);
  assert.deepEqual(client.socket.closings, [{ code: 4001, reason: "Invalid or expired token" }]);
});
