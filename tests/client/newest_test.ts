// The newest sample of a device for who wants no more than that: whole, and as soon as the client knows it.
import assert from "node:assert/strict";
import type { DeviceSample } from "../../src/client/pulsewire_client.ts";
import { clientWorld, sample, telemetry } from "./client_fixture.ts";

function recorder() {
  const given: unknown[] = [];
  return { given, listener: ({ metrics }: DeviceSample) => void given.push(metrics) };
}

Deno.test("a newcomer that wants more metrics is not given what was pushed without them", async () => {
  using world = clientWorld();
  const { given, listener } = recorder();
  world.client.device("d", { metrics: ["a"] }, () => {});
  const socket = await world.greet();
  socket.subscribed();
  socket.batch(1, [telemetry("d", sample(1, { a: 1 }))]);
  world.client.device("d", listener);
  await world.settle();
  // Of the subscription before, on its way.
  socket.batch(2, [telemetry("d", sample(2, { a: 2 }))]);
  socket.subscribed();
  socket.batch(3, [telemetry("d", sample(2, { a: 2, b: 2 }))]);
  assert.deepEqual(given, [{ a: 2, b: 2 }]);
});
