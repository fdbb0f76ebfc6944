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
