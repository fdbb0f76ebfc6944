// Between what arrives and a loop that takes: bounded, in order, and ended in one way.
import assert from "node:assert/strict";
import { SampleBuffer } from "../../src/client/sample_buffer.ts";
import type { DeviceSample } from "../../src/client/follower.ts";
import { at } from "./client_fixture.ts";

function sampleOf(
  second: number,
  { deviceId = "d", origin = "live" as DeviceSample["origin"] } = {},
): DeviceSample {
  return { device_id: deviceId, timestamp: at(second), metrics: { n: second }, origin };
}

function bufferOf(mode: "latest" | "every", capacity = 4) {
  const said: string[] = [];
  const buffer = new SampleBuffer({
    mode,
    capacity,
    drained: () => void said.push("drained"),
    left: () => void said.push("left"),
  });
  return { buffer, said };
}

const taken = async (buffer: SampleBuffer) => (await buffer.next()).value?.metrics.n;

Deno.test("in mode latest a sample that nobody took is replaced by the newer one of its device", async () => {
  const { buffer } = bufferOf("latest");
  for (let second = 0; second < 1_000; second++) {
    assert.ok(buffer.put(sampleOf(second)));
    assert.ok(buffer.put(sampleOf(second, { deviceId: "e" })));
  }
  assert.equal(buffer.size, 2);
  assert.deepEqual([await taken(buffer), await taken(buffer)], [999, 999]);
  buffer.put(sampleOf(1_000));
  buffer.put(sampleOf(1_001));
  assert.equal(await taken(buffer), 1_001);
});

Deno.test("in mode latest history is kept whole, and only what is live is replaced", async () => {
  const { buffer } = bufferOf("latest");
  buffer.put(sampleOf(1, { origin: "history" }));
  buffer.put(sampleOf(2, { origin: "history" }));
  buffer.put(sampleOf(3));
  buffer.put(sampleOf(4));
  assert.deepEqual([await taken(buffer), await taken(buffer), await taken(buffer)], [1, 2, 4]);
});

Deno.test("in mode every a full buffer takes no more, and says when half of it was taken", async () => {
  const { buffer, said } = bufferOf("every");
  for (let second = 0; second < 4; second++) assert.ok(buffer.put(sampleOf(second)));
  assert.equal(buffer.put(sampleOf(4)), false);
  assert.equal(buffer.size, 4);
  assert.equal(await taken(buffer), 0);
  assert.deepEqual(said, []);
  assert.equal(await taken(buffer), 1);
  assert.deepEqual(said, ["drained"]);
  assert.ok(buffer.put(sampleOf(4)));
  assert.deepEqual([await taken(buffer), await taken(buffer), await taken(buffer)], [2, 3, 4]);
  assert.deepEqual(said, ["drained"]);
});

Deno.test("who waits gets the next sample, in the order of waiting", async () => {
  const { buffer } = bufferOf("every");
  const waiting = [buffer.next(), buffer.next()];
  buffer.put(sampleOf(1));
  buffer.put(sampleOf(2));
  assert.deepEqual((await Promise.all(waiting)).map(({ value }) => value?.metrics.n), [1, 2]);
  assert.equal(buffer.size, 0);
});

Deno.test("an end is quiet after what is held, an error is thrown once, and leaving is told once", async () => {
  const quiet = bufferOf("every");
  quiet.buffer.put(sampleOf(1));
  quiet.buffer.end();
  assert.equal(await taken(quiet.buffer), 1);
  assert.equal((await quiet.buffer.next()).done, true);
  assert.deepEqual(quiet.said, ["left"]);

  const failed = bufferOf("every");
  const waiting = failed.buffer.next();
  failed.buffer.end(new Error("refused"));
  await assert.rejects(waiting, /refused/);
  assert.equal((await failed.buffer.next()).done, true);

  const left = bufferOf("every");
  left.buffer.put(sampleOf(1));
  await left.buffer.return();
  assert.equal((await left.buffer.next()).done, true);
  assert.ok(left.buffer.put(sampleOf(2)));
  assert.equal(left.buffer.size, 0);
  assert.deepEqual(left.said, ["left"]);
});
