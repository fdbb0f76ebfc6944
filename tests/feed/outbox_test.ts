// What a tenant's reads brought, until it is delivered: in order, and nothing of what nobody follows any more.
import assert from "node:assert/strict";
import { Outbox } from "../../src/feed/outbox.ts";
import type { DeviceBatch, Snapshot } from "../../src/feed/seam.ts";

function batchOf(deviceId: string): DeviceBatch {
  return { deviceId, number: 2, readAt: 0, samples: [], floor: "2026-11-18T11:00:00.000000000Z" };
}

Deno.test("A batch of a device that is not tracked any more when it would be delivered is not", () => {
  const delivered: Snapshot[] = [];
  const outbox = new Outbox("acme", (snapshot) => delivered.push(snapshot));
  outbox.add({ cause: "tick", batches: [batchOf("dev-1"), batchOf("dev-2")] });
  outbox.withdraw((deviceId) => deviceId === "dev-2");
  outbox.flush();
  assert.deepEqual(delivered.map(({ batches }) => batches.map(({ deviceId }) => deviceId)), [
    ["dev-2"],
  ]);
});
