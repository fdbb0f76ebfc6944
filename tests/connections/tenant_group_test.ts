// What a tenant's connections share on this process.
import assert from "node:assert/strict";
import { AlertSteps } from "../../src/connections/alert_steps.ts";
import type { Connection } from "../../src/connections/connection.ts";
import { CORE_OPTIONS, DeviceSubscription } from "../../src/connections/device_subscription.ts";
import { EveryFollow } from "../../src/connections/every_follow.ts";
import { FollowedDevice } from "../../src/connections/followed_device.ts";
import { TenantGroup } from "../../src/connections/tenant_group.ts";
import type { AlertState, DeviceBatch, DeviceState } from "../../src/feed/seam.ts";
import { frameOf } from "../../src/protocol/frame.ts";
import { EMPTY_SNAPSHOT } from "../support/empty_snapshot.ts";

const frame = frameOf({ type: "alerts", alerts: [] });

function groupOf(...reads: readonly number[]): TenantGroup {
  const group = new TenantGroup("acme");
  group.follow("dev-1");
  group.followAlerts();
  for (const seq of reads) deliver(group, seq);
  return group;
}

function deliver(group: TenantGroup, seq: number): void {
  const state: DeviceState = {
    deviceId: "dev-1",
    seq,
    readAt: seq,
    version: 1,
    sample: null,
    isStale: true,
    frame,
  };
  const alerts = { seq, readAt: seq, version: 1, frame, whole: null };
  group.deliver({ ...EMPTY_SNAPSHOT, devices: [state], alerts }, seq);
}

Deno.test("Of two reads that cross the later one's states are kept", () => {
  const group = groupOf(2, 1);
  assert.equal(group.follow("dev-1").state?.seq, 2);
  assert.equal(group.alerts?.seq, 2);
});

Deno.test("All devices are as old as the last read of them since the first came who follows all", () => {
  const group = new TenantGroup("acme");
  const follower = {} as Connection;
  const read = (allReadAt: number) => group.deliver({ ...EMPTY_SNAPSHOT, allReadAt }, 0);
  group.followAll(follower, { mode: "latest", at: 100 });
  read(90);
  assert.equal(group.allReadAt, null, "that one need not say all that it found");
  read(100);
  assert.equal(group.allReadAt, 100);
  group.unfollowAll(follower);
  assert.equal(group.allReadAt, null);
  group.followAll(follower, { mode: "latest", at: 200 });
  assert.equal(group.allReadAt, null, "what nobody followed meanwhile is not known");
});

Deno.test("A subscription among all may go once its device is gone, unless it is named or waits for its past", () => {
  const group = new TenantGroup("acme");
  const device = group.follow("dev-1");
  const subscribed = ({ isNamed }: { readonly isNamed: boolean }) =>
    new DeviceSubscription({
      device,
      options: CORE_OPTIONS,
      isNamed,
      progress: { seq: 1, isOwed: false },
      follow: null,
    });
  const [implied, held] = [subscribed({ isNamed: false }), subscribed({ isNamed: false })];
  const named = subscribed({ isNamed: true });
  held.isHeld = true;
  assert.equal(implied.isSpent, false, "nothing is known of the device yet");
  deliver(group, 1);
  assert.deepEqual([implied, held, named].map(({ isSpent }) => isSpent), [true, false, false]);
  deliver(group, 2);
  assert.equal(implied.isSpent, false, "it was not told of the last read yet");
});

Deno.test("A state is kept for as long as one follower is left and then forgotten", () => {
  const group = groupOf(1);
  const device = group.follow("dev-1");
  group.followAlerts();
  group.unfollow(device);
  group.unfollowAlerts();
  assert.equal(group.follow("dev-1"), device);
  assert.notEqual(group.alerts, null);
  group.unfollow(device);
  group.unfollow(device);
  group.unfollowAlerts();
  assert.equal(group.follow("dev-1").state, null);
  assert.equal(group.alerts, null);
});

Deno.test("What nobody follows any more is not kept when it comes late", () => {
  const group = groupOf();
  const device = group.follow("dev-1");
  group.unfollow(device);
  group.unfollow(device);
  group.unfollowAlerts();
  deliver(group, 1);
  assert.equal(group.follow("dev-1").state, null);
  assert.equal(group.alerts, null);
});

function batch(number: number): DeviceBatch {
  const floor = `2026-11-18T11:00:0${number}.000000000Z`;
  return { deviceId: "dev-1", number, readAt: 0, samples: [], floor };
}

Deno.test("Batches are kept while somebody follows every sample, and their place also while only others do", () => {
  const device = new FollowedDevice("dev-1");
  for (const number of [1, 2, 3]) device.deliver(batch(number));
  assert.deepEqual(device.batches, []);
  assert.equal(device.floor, batch(3).floor);
  assert.equal(device.first?.floor, batch(1).floor);
  device.followEvery();
  const follow = new EveryFollow(device, 0);
  device.deliver(batch(4));
  assert.deepEqual(follow.due(), [], "nothing is missing between");
  device.unfollowEvery();
  assert.deepEqual(device.batches, []);
});

Deno.test("Where a feed begins anew, or leaves a batch out, who follows finds batches gone", () => {
  for (const next of [1, 2, 3, 5]) {
    const device = new FollowedDevice("dev-1");
    device.followEvery();
    for (const number of [1, 2, 3]) device.deliver(batch(number));
    const follow = new EveryFollow(device, 0);
    device.deliver(batch(next));
    assert.equal(follow.due(), null, `after 3 comes ${next}`);
  }
});

Deno.test("Only the last batches are kept", () => {
  const device = new FollowedDevice("dev-1");
  device.followEvery();
  for (let number = 1; number <= 9; number++) device.deliver(batch(number));
  assert.equal(device.batches.length, 4);
});

function whole(number: number): AlertState {
  const changes = { opened: [], updated: [], closed: [number] };
  return {
    seq: number,
    readAt: number,
    version: 1,
    frame,
    whole: { open: [], total: 0, number, changes },
  };
}

Deno.test("Steps lead from a state to the newest one, and are gone where the feed began anew", () => {
  const steps = new AlertSteps();
  for (const number of [7, 8, 9]) steps.take(whole(number));
  const place = steps.newest?.number ?? 0;
  for (const number of [10, 11]) steps.take(whole(number));
  assert.deepEqual(steps.after(place)?.map(({ changes }) => changes?.closed), [[10], [11]]);
  assert.deepEqual(steps.after(steps.newest?.number ?? 0), []);
  assert.ok(steps.hasClosed(10, steps.newest?.number ?? 0));
  assert.ok(!steps.hasClosed(10, place));
  for (const number of [1, 11, 12]) {
    const before = steps.newest?.number ?? 0;
    steps.take(whole(number));
    if (number !== 12) assert.equal(steps.after(before), null, `after ${number}`);
    else assert.equal(steps.after(before)?.length, 1);
  }
  steps.forget();
  assert.equal(steps.newest, null);
});

Deno.test("Who waits for the next state of the alerts leaves nothing behind, whether it comes or not", async () => {
  const steps = new AlertSteps();
  const life = new AbortController();
  const waiting = steps.next(life.signal);
  steps.take(whole(1));
  assert.equal((await waiting)?.seq, 1);
  const left = steps.next(life.signal);
  life.abort();
  assert.equal(await left, null);
  assert.equal(await steps.next(life.signal), null);
});

Deno.test("Who waits for a first value does not wait for its turn, whatever read brings it", () => {
  const group = new TenantGroup("acme");
  const woken: string[] = [];
  const connection = (name: string, isOwed: boolean) =>
    ({
      isOwed,
      tell: () => {},
      wake: () => woken.push(`${name} at once`),
      wakeInTurn: () => woken.push(`${name} in turn`),
    }) as unknown as Connection;
  group.connections.add(connection("one that has its values", false));
  group.connections.add(connection("a new one", true));
  group.deliver(EMPTY_SNAPSHOT, 0);
  assert.deepEqual(woken.splice(0), ["one that has its values in turn", "a new one at once"]);
  group.deliver({ ...EMPTY_SNAPSHOT, cause: "first" }, 0);
  assert.deepEqual(woken, ["a new one at once"]);
});
