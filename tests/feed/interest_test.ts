// What is counted of a tenant's connections.
import assert from "node:assert/strict";
import { Interest } from "../../src/feed/interest.ts";

Deno.test("A device is followed until as many left it as came", () => {
  const interest = new Interest();
  interest.apply({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: 2 }] });
  interest.apply({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: -1 }] });
  assert.deepEqual(interest.deviceIds, ["dev-1"]);
  interest.apply({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: -1 }] });
  assert.deepEqual(interest.deviceIds, []);
  assert.equal(interest.follows("dev-1"), false);
});

Deno.test("A device that stands twice in one change is counted twice", () => {
  const interest = new Interest();
  const twice = [{ deviceId: "dev-1", latest: 1 }, { deviceId: "dev-1", latest: 1 }];
  interest.apply({ tenantId: "acme", devices: twice });
  assert.equal(interest.followersOf("dev-1"), 2);
});

Deno.test("A change that would count below zero throws and changes nothing", () => {
  const interest = new Interest();
  interest.apply({ tenantId: "acme", connections: 1, devices: [{ deviceId: "dev-1", latest: 1 }] });
  for (
    const change of [
      { connections: -2 },
      { alerts: -1 },
      { devices: [{ deviceId: "dev-2", latest: 1 }, { deviceId: "dev-1", latest: -2 }] },
    ]
  ) {
    assert.throws(() => interest.apply({ tenantId: "acme", ...change }), {
      name: "RangeError",
      message: 'Interest of tenant "acme" would fall below zero',
    });
  }
  assert.equal(interest.connections, 1);
  assert.equal(interest.alertFollowers, 0);
  assert.deepEqual(interest.deviceIds, ["dev-1"]);
  assert.equal(interest.followersOf("dev-1"), 1);
});

Deno.test("Newest and every sample, all devices, changes and the fleet are counted apart", () => {
  const interest = new Interest();
  interest.apply({
    tenantId: "acme",
    devices: [{ deviceId: "dev-1", latest: 1, every: 2 }],
    all: { latest: 1, every: 1 },
    alertChanges: 1,
    fleet: 1,
  });
  assert.equal(interest.followersOf("dev-1"), 3);
  assert.equal(interest.everyFollowersOf("dev-1"), 2);
  assert.deepEqual(interest.all, { latest: 1, every: 1 });
  assert.equal(interest.follows("dev-2"), true);
  assert.equal(interest.names("dev-2"), false);
  assert.equal(interest.followsEvery("dev-2"), true);
  interest.apply({ tenantId: "acme", all: { latest: 0, every: -1 } });
  assert.deepEqual([interest.followsEvery("dev-2"), interest.follows("dev-2")], [false, true]);
  interest.apply({ tenantId: "acme", all: { latest: -1 } });
  assert.deepEqual([interest.follows("dev-2"), interest.needsAllDevices], [false, true]);
  interest.apply({ tenantId: "acme", fleet: -1 });
  assert.deepEqual([interest.needsAllDevices, interest.needsWholeAlerts], [false, true]);
  interest.apply({ tenantId: "acme", alertChanges: -1 });
  assert.equal(interest.needsAlerts, false);
  interest.apply({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: -1, every: -2 }] });
  assert.deepEqual(interest.deviceIds, []);
});

Deno.test("No count falls below zero", () => {
  const interest = new Interest();
  interest.apply({ tenantId: "acme", devices: [{ deviceId: "dev-1", latest: 1 }] });
  for (
    const change of [
      { devices: [{ deviceId: "dev-1", latest: 0, every: -1 }] },
      { all: { latest: -1 } },
      { all: { latest: 1, every: -1 } },
      { alertChanges: -1 },
      { fleet: -1 },
    ]
  ) {
    assert.throws(() => interest.apply({ tenantId: "acme", ...change }), { name: "RangeError" });
  }
  assert.deepEqual(interest.all, { latest: 0, every: 0 });
  assert.equal(interest.fleetFollowers + interest.alertChangeFollowers, 0);
});
