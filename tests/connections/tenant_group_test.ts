// What a tenant's connections share on this process.
import assert from "node:assert/strict";
import { TenantGroup } from "../../src/connections/tenant_group.ts";
import type { DeviceState } from "../../src/feed/seam.ts";
import { frameOf } from "../../src/protocol/frame.ts";

const frame = frameOf({ type: "alerts", alerts: [] });

function groupOf(...reads: readonly number[]): TenantGroup {
  const group = new TenantGroup("acme");
  group.follow("dev-1");
  group.followAlerts();
  for (const seq of reads) deliver(group, seq);
  return group;
}

function deliver(group: TenantGroup, seq: number): void {
  const state: DeviceState = { deviceId: "dev-1", seq, readAt: seq, version: 1, frame };
  const alerts = { seq, readAt: seq, frame };
  group.deliver({ tenantId: "acme", cause: "tick", devices: [state], alerts }, seq);
}

Deno.test("Of two reads that cross the later one's states are kept", () => {
  const group = groupOf(2, 1);
  assert.equal(group.follow("dev-1").state?.seq, 2);
  assert.equal(group.alerts?.seq, 2);
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
