// What of a tenant's snapshots crosses to a worker, and what becomes of it there: each sample once, and never one under
// the version of another.
import assert from "node:assert/strict";
import fc from "fast-check";
import { Interest } from "../../src/feed/interest.ts";
import type { DeviceState, InterestChange, Snapshot } from "../../src/feed/seam.ts";
import { frameOf } from "../../src/protocol/frame.ts";
import { SnapshotPacker } from "../../src/workers/snapshot_packer.ts";
import type { SnapshotParcel } from "../../src/workers/snapshot_parcel.ts";
import { SnapshotUnpacker } from "../../src/workers/snapshot_unpacker.ts";
import { sampleAt } from "../support/samples.ts";

function stateOf(
  deviceId: string,
  { seq, version }: { seq: number; version: number },
): DeviceState {
  const sample = sampleAt(version);
  const frame = frameOf({ type: "telemetry", device_id: deviceId, data: sample });
  return { deviceId, seq, readAt: 1_000 * seq, version, isStale: false, sample, frame };
}

function snapshotOf(...devices: readonly DeviceState[]): Snapshot {
  return {
    tenantId: "acme",
    cause: "tick",
    devices,
    batches: [],
    alerts: null,
    fleet: null,
    allReadAt: 1_000,
    statuses: [],
  };
}

/** One more or one fewer that follows the device's newest sample. */
function followed(deviceId: string, latest: 1 | -1): InterestChange {
  return { tenantId: "acme", devices: [{ deviceId, latest }] };
}

/** Both ends, with what is under way between them in either direction. */
class Crossing {
  readonly #here = new Interest();
  readonly #there = new Interest();
  readonly #packer = new SnapshotPacker(this.#here);
  readonly #unpacker = new SnapshotUnpacker(this.#there);
  readonly #up: InterestChange[] = [];
  readonly #down: SnapshotParcel[] = [];
  /** Samples that crossed. */
  samples = 0;

  /** The worker's connections change what they follow; the other side hears of it later. */
  change(change: InterestChange): void {
    this.#there.apply(change);
    this.#unpacker.note(change);
    this.#up.push(change);
  }

  hear(): void {
    const change = this.#up.shift();
    if (change === undefined) return;
    this.#here.apply(change);
    this.#packer.note(change);
  }

  /** The feed has read; the worker gets it later. */
  read(snapshot: Snapshot): void {
    const parcel = this.#packer.pack(snapshot);
    if (parcel === null) return;
    this.samples += parcel.devices.filter(({ sample }) => sample !== undefined).length;
    this.#down.push(structuredClone(parcel));
  }

  receive(): readonly DeviceState[] {
    const parcel = this.#down.shift();
    return parcel === undefined ? [] : this.#unpacker.unpack(parcel).devices;
  }

  follows(deviceId: string): boolean {
    return this.#there.follows(deviceId);
  }
}

Deno.test("A sample crosses once, and each state that it stays the newest of is whole on the other side", () => {
  const crossing = new Crossing();
  crossing.change(followed("a", 1));
  crossing.hear();
  for (let seq = 1; seq <= 3; seq++) {
    const state = stateOf("a", { seq, version: 1 });
    crossing.read(snapshotOf(state));
    assert.deepEqual(crossing.receive(), [state]);
  }
  assert.equal(crossing.samples, 1);
  const next = stateOf("a", { seq: 4, version: 2 });
  crossing.read(snapshotOf(next));
  assert.deepEqual(crossing.receive(), [next]);
  assert.equal(crossing.samples, 2);
});

Deno.test("A state whose sample is of another version than the one that is kept is left out", () => {
  const interest = new Interest();
  interest.apply(followed("a", 1));
  const unpacker = new SnapshotUnpacker(interest);
  const parcelOf = (state: DeviceState, isWhole: boolean): SnapshotParcel => {
    const { sample, frame: _, ...rest } = state;
    const device = isWhole ? { ...rest, sample } : rest;
    return { ...snapshotOf(), heard: 0, alerts: null, fleet: null, batches: [], devices: [device] };
  };
  const [first, second] = [1, 2].map((n) => stateOf("a", { seq: n, version: n }));
  assert.deepEqual(unpacker.unpack(parcelOf(first!, true)).devices, [first]);
  assert.deepEqual(unpacker.unpack(parcelOf(second!, false)).devices, []);
  assert.deepEqual(unpacker.unpack(parcelOf(first!, false)).devices, [first]);
});

Deno.test("A device that is gone is told to who follows all, and remembered on neither side", () => {
  const interest = new Interest();
  interest.apply({ tenantId: "acme", all: { latest: 1 } });
  const packer = new SnapshotPacker(interest);
  const unpacker = new SnapshotUnpacker(interest);
  const gone = { ...stateOf("a", { seq: 2, version: 2 }), sample: null, frame: null };
  const cross = (state: DeviceState) => structuredClone(packer.pack(snapshotOf(state)));
  unpacker.unpack(cross(stateOf("a", { seq: 1, version: 1 }))!);
  assert.deepEqual(unpacker.unpack(cross(gone)!).devices, [gone]);
  const again = cross({ ...gone, seq: 3 });
  assert.equal(again?.devices[0]?.sample, null);
  const { sample: _, ...unsaid } = again!.devices[0]!;
  assert.deepEqual(unpacker.unpack({ ...again!, devices: [unsaid] }).devices, []);
  const back = stateOf("a", { seq: 4, version: 3 });
  assert.deepEqual(unpacker.unpack(cross(back)!).devices, [back]);
});

Deno.test("However changes and snapshots cross, a worker is given no state that is not as it was read", () => {
  const devices = ["a", "b"];
  const device = fc.constantFrom(...devices);
  const step = fc.oneof(
    fc.record({ do: fc.constant("toggle" as const), device }),
    fc.record({ do: fc.constantFrom("read" as const, "hear" as const, "receive" as const) }),
    fc.record({ do: fc.constant("sample" as const), device }),
  );
  let given = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const crossing = new Crossing();
      const versions = new Map(devices.map((id) => [id, 1]));
      let seq = 0;
      const check = (states: readonly DeviceState[]) => {
        for (const state of states) {
          assert.deepEqual(state, stateOf(state.deviceId, state));
          given++;
        }
      };
      const read = () => {
        seq++;
        crossing.read(
          snapshotOf(...devices.map((id) => stateOf(id, { seq, version: versions.get(id) ?? 0 }))),
        );
      };
      for (const step of steps) {
        if (step.do === "toggle") {
          crossing.change(followed(step.device, crossing.follows(step.device) ? -1 : 1));
        } else if (step.do === "sample") {
          versions.set(step.device, (versions.get(step.device) ?? 0) + 1);
        } else if (step.do === "read") read();
        else if (step.do === "hear") crossing.hear();
        else check(crossing.receive());
      }
      // Once nothing is under way any more, whoever follows a device is given what is read.
      for (const _ of steps) {
        crossing.hear();
        check(crossing.receive());
      }
      read();
      const last = crossing.receive();
      check(last);
      assert.deepEqual(
        last.map(({ deviceId }) => deviceId),
        devices.filter((id) => crossing.follows(id)),
      );
    }),
    { numRuns: 2_000 },
  );
  assert.ok(given > 1_000, `only ${given} states were given`);
});
