// The simulated fleet by itself, over a day of a clock that is handed in: believable values, troubles that end.
import assert from "node:assert/strict";
import { DEVICE_KINDS } from "../../src/demo/device_kind.ts";
import { FLEET } from "../../src/demo/fleet.ts";
import { seededRandom } from "../../src/demo/seeded_random.ts";
import { type Happenings, SimulatedTenant } from "../../src/demo/simulated_tenant.ts";

const midnightMs = Date.UTC(2026, 5, 1);

function simulate(
  { seconds, stepSeconds, seed = 7 }: { seconds: number; stepSeconds: number; seed?: number },
): Happenings[] {
  const random = seededRandom(seed);
  const tenants = FLEET.map((tenant) => new SimulatedTenant(tenant, { nowMs: midnightMs, random }));
  const steps: Happenings[] = [];
  for (let passed = 0; passed <= seconds; passed += stepSeconds) {
    const happenings: Happenings = { samples: [], opened: [], closed: [] };
    for (const tenant of tenants) tenant.step(midnightMs + passed * 1_000, happenings);
    steps.push(happenings);
  }
  return steps;
}

Deno.test("a simulated day keeps every value within its sensor's bounds and near its curve", () => {
  const means = new Map<string, { sum: number; count: number }>();
  for (const { samples } of simulate({ seconds: 86_400, stepSeconds: 10 })) {
    for (const { tenantId, deviceId, metrics } of samples) {
      const tenant = FLEET.find((each) => each.tenantId === tenantId)!;
      const device = tenant.devices.find((each) => each.deviceId === deviceId)!;
      for (const [name, { min, max }] of Object.entries(DEVICE_KINDS[device.kind].signals)) {
        const value = metrics[name];
        assert.ok(typeof value === "number" && value >= min && value <= max, `${name} ${value}`);
        const key = `${tenantId} ${deviceId} ${name}`;
        const mean = means.get(key) ?? { sum: 0, count: 0 };
        means.set(key, { sum: mean.sum + value, count: mean.count + 1 });
      }
    }
  }
  for (const { tenantId, devices } of FLEET) {
    for (const { deviceId, kind, mids } of devices) {
      for (const [name, { mid, min, max }] of Object.entries(DEVICE_KINDS[kind].signals)) {
        const { sum, count } = means.get(`${tenantId} ${deviceId} ${name}`)!;
        const expected = (mids as Record<string, number> | undefined)?.[name] ?? mid;
        const offBy = Math.abs(sum / count - expected) / (max - min);
        assert.ok(offBy < 0.15, `${deviceId} ${name}: mean ${sum / count}, expected ${expected}`);
      }
    }
  }
});

Deno.test("a value walks: from one second to the next it moves far less than over a minute", () => {
  const values = simulate({ seconds: 3_600, stepSeconds: 1 }).flatMap(({ samples }) =>
    samples.filter(({ tenantId, deviceId }) => tenantId === "waterworks" && deviceId === "pump-01")
      .map(({ metrics }) => Number(metrics.flow_m3h))
  );
  const move = (lag: number) => {
    const moves = values.slice(lag).map((value, index) => Math.abs(value - values[index]!));
    return moves.reduce((sum, each) => sum + each, 0) / moves.length;
  };
  assert.ok(move(1) > 0.05, `it stands still: ${move(1)}`);
  assert.ok(move(60) > 2.5 * move(1), `it is noise: ${move(1)} in 1 s, ${move(60)} in 60 s`);
});

Deno.test("alerts of every kind open and close, and a few at most are open at once", () => {
  const open = new Map<string, number>();
  const durations: number[] = [];
  const closedTypes = new Set<string>();
  simulate({ seconds: 86_400, stepSeconds: 10 }).forEach(({ opened, closed }, step) => {
    for (const { tenantId, fingerprint, summary, severity, confidence } of opened) {
      const key = `${tenantId}/${fingerprint}`;
      assert.ok(!open.has(key), `${key} opened twice`);
      assert.ok(summary.length > 5 && !/NaN|undefined/.test(summary), summary);
      assert.ok(severity >= 1 && severity <= 5 && confidence > 0 && confidence <= 1);
      open.set(key, step);
    }
    for (const { tenantId, fingerprint, type } of closed) {
      const key = `${tenantId}/${fingerprint}`;
      assert.ok(open.has(key), `${key} closed before it opened`);
      durations.push((step - open.get(key)!) * 10);
      closedTypes.add(type);
      open.delete(key);
    }
    assert.ok(open.size <= 8, `${open.size} open`);
  });
  const faultTypes = Object.values(DEVICE_KINDS).flatMap(({ faults }) =>
    faults.map(({ type }) => type)
  );
  assert.deepEqual([...closedTypes].sort(), [...new Set([...faultTypes, "device_silent"])].sort());
  assert.ok(Math.max(...durations) < 400, `an alert stayed for ${Math.max(...durations)} s`);
});

Deno.test("a device whose alert says that it is silent sends nothing until the alert closes", () => {
  const silent = new Set<string>();
  let silences = 0;
  for (const { samples, opened, closed } of simulate({ seconds: 7_200, stepSeconds: 1 })) {
    for (const { tenantId, deviceId, type } of closed) {
      if (type === "device_silent") silent.delete(`${tenantId}/${deviceId}`);
    }
    for (const { tenantId, deviceId } of samples) {
      assert.ok(!silent.has(`${tenantId}/${deviceId}`), `${deviceId} spoke while silent`);
    }
    for (const { tenantId, deviceId, type } of opened) {
      if (type !== "device_silent") continue;
      silent.add(`${tenantId}/${deviceId}`);
      silences++;
    }
  }
  assert.ok(silences > 10, `only ${silences} silences`);
});

Deno.test("the same seed gives the same day and another seed another", () => {
  const day = (seed: number) => JSON.stringify(simulate({ seconds: 600, stepSeconds: 1, seed }));
  assert.equal(day(3), day(3));
  assert.notEqual(day(3), day(4));
});

Deno.test("the two fleets share ids of devices, so that isolation is seen", () => {
  const [one, other] = FLEET.map(({ devices }) => devices.map(({ deviceId }) => deviceId));
  const shared = one!.filter((deviceId) => other!.includes(deviceId));
  assert.ok(shared.length >= 3 && shared.length < one!.length, shared.join());
});
