import assert from "node:assert/strict";
import { CORE_OPTIONS, DeviceSubscription } from "../../src/connections/device_subscription.ts";
import { EveryFollow } from "../../src/connections/every_follow.ts";
import { FollowedDevice } from "../../src/connections/followed_device.ts";
import { MessageViews } from "../../src/connections/message_views.ts";
import { Push } from "../../src/connections/push.ts";
import type { DeviceBatch } from "../../src/feed/seam.ts";
import { frameOf } from "../../src/protocol/frame.ts";
import { sampleAt } from "../support/samples.ts";

const frame = frameOf({ type: "alerts", alerts: [] });

const push = () =>
  new Push({ oldest: 0, tellsStale: false, isDated: false, views: new MessageViews() });

Deno.test("What is new in a push is as old as its newest sample, whatever order they come in", () => {
  const at = (second: number) => Date.UTC(2026, 0, 1, 0, 0, second);
  const one = push();
  assert.equal(one.newestAt, -Infinity);
  one.note(NaN);
  assert.equal(one.newestAt, -Infinity, "what has no sample is not new");
  for (const second of [4, 9, 7]) one.note(at(second));
  assert.equal(one.newestAt, at(9));
  one.note(at(10));
  assert.equal(one.newestAt, at(10));
});

Deno.test("A push of every sample is as old as the newest of them, also where one came late", () => {
  const device = new FollowedDevice("dev-1");
  device.followEvery();
  const batch = (number: number, ...seconds: readonly number[]): DeviceBatch => ({
    deviceId: "dev-1",
    number,
    readAt: 0,
    samples: seconds.map((second) => ({ sample: sampleAt(second), frame, readAt: 0 })),
    floor: sampleAt(0).timestamp,
  });
  device.deliver(batch(1));
  const subscription = new DeviceSubscription({
    device,
    options: { ...CORE_OPTIONS, mode: "every" },
    isNamed: true,
    progress: { seq: 0, isOwed: false },
    follow: new EveryFollow(device, 0),
  });
  device.deliver(batch(2, 5, 9));
  device.deliver(batch(3, 7));
  const due = push();
  subscription.collect(due);
  assert.equal(due.frames.length, 3);
  assert.equal(due.newestAt, Date.parse(sampleAt(9).timestamp));
});
