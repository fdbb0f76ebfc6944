import assert from "node:assert/strict";
import { EveryFollow } from "../../src/connections/every_follow.ts";
import { FollowedDevice } from "../../src/connections/followed_device.ts";
import { sampleAt } from "../support/samples.ts";
import { telemetry } from "./catch_up_world.ts";

/** Keeps the newest four batches, as a tenant's group does. */
class Device extends FollowedDevice {
  constructor() {
    super("dev-1");
    this.followEvery();
  }

  /** Delivers a batch of samples of these seconds, whose floor lies ten seconds before the last of them. */
  add(seconds: readonly number[], floor = (seconds.at(-1) ?? 0) - 10): void {
    const samples = seconds.map((second) => {
      const sample = sampleAt(second);
      return { sample, frame: telemetry("dev-1", sample), readAt: 0 };
    });
    this.deliver({
      deviceId: "dev-1",
      number: this.batchNumber + 1,
      readAt: 0,
      samples,
      floor: stamp(floor),
    });
  }
}

function stamp(second: number): string {
  return sampleAt(second).timestamp;
}

function dueOf(follow: EveryFollow): readonly string[] | null {
  return follow.due()?.map(({ sample }) => sample.timestamp) ?? null;
}

function stamps(...seconds: number[]): readonly string[] {
  return seconds.map(stamp);
}

Deno.test("A subscription that came before the first batch is due all that later ones hold, each sample once", () => {
  const device = new Device();
  const follow = new EveryFollow(device, 0);
  assert.deepEqual(dueOf(follow), []);
  device.add([]);
  assert.deepEqual([dueOf(follow), follow.cursor, follow.floor], [[], null, stamp(-10)]);
  device.add([1, 2]);
  device.add([3]);
  assert.deepEqual(dueOf(follow), stamps(1, 2, 3));
  assert.deepEqual(dueOf(follow), stamps(1, 2, 3), "nobody said yet that it was sent");
  follow.sent();
  assert.deepEqual([dueOf(follow), follow.cursor, follow.floor], [[], stamp(3), stamp(-7)]);
  device.add([0]);
  follow.due();
  follow.sent();
  assert.equal(follow.cursor, stamp(3));
});

Deno.test("A subscription to a device that others follow begins after its newest batch, and knows what it skipped", () => {
  const device = new Device();
  device.add([]);
  device.add([1, 2]);
  const follow = new EveryFollow(device, 0);
  assert.deepEqual([dueOf(follow), follow.cursor], [[], stamp(2)]);
  assert.deepEqual([...follow.sentTimestamps()], stamps(1, 2));
  device.add([3]);
  assert.deepEqual(dueOf(follow), stamps(3));
});

Deno.test("A subscription whose batches are gone is behind until it has caught up", () => {
  const device = new Device();
  const follow = new EveryFollow(device, 0);
  device.add([]);
  device.add([1]);
  follow.due();
  follow.sent();
  for (let second = 2; second <= 5; second++) device.add([second]);
  assert.deepEqual(dueOf(follow), stamps(2, 3, 4, 5));
  device.add([6]);
  assert.deepEqual([dueOf(follow), follow.isLive], [null, false]);
  assert.deepEqual([follow.floor, [...follow.sentTimestamps()]], [stamp(-9), stamps(1)]);
  device.add([7]);
  assert.equal(dueOf(follow), null);
  follow.join({
    place: { number: 6, floor: stamp(-5) },
    base: stamp(-9),
    sent: new Set(stamps(1, 2, 3, 4, 5, 7)),
    cursor: stamp(7),
  });
  assert.deepEqual([dueOf(follow), follow.isLive, follow.cursor], [stamps(6), true, stamp(7)]);
});

Deno.test("What catching up sent, or the client had before, is not due again", () => {
  const device = new Device();
  const follow = new EveryFollow(device, 0);
  device.add([]);
  follow.join({
    place: { number: 1, floor: stamp(-10) },
    base: stamp(2),
    sent: new Set(stamps(3, 4)),
    cursor: stamp(4),
  });
  assert.equal(follow.floor, stamp(2), "nothing older is this subscription's");
  device.add([1, 2]);
  assert.deepEqual(dueOf(follow), []);
  device.add([3, 4, 5]);
  assert.deepEqual(dueOf(follow), stamps(5));
  follow.sent();
  device.add([4, 6], 5);
  assert.deepEqual(dueOf(follow), stamps(6));
});

Deno.test("What was sent is remembered only while later batches could hold it", () => {
  const device = new Device();
  const follow = new EveryFollow(device, 0);
  device.add([]);
  follow.join({
    place: { number: 1, floor: stamp(-10) },
    base: stamp(-10),
    sent: new Set(stamps(1, 4)),
    cursor: stamp(4),
  });
  for (const [second, floor] of [[5, -5], [6, 2], [7, 5], [20, 10]] as const) {
    device.add([second], floor);
    follow.due();
    follow.sent();
    const expected = [5, 6, 7, 20, 1, 4].filter((sent) =>
      sent <= second || sent === 1 || sent === 4
    )
      .filter((sent) => sent > floor);
    assert.deepEqual([...follow.sentTimestamps()], stamps(...expected));
  }
});
