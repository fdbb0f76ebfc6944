// What a worker's connections are given while changes of what they follow and snapshots are under way at the same time:
// what the other side has told once is not told again, and what it told of the time before is not for them.
import assert from "node:assert/strict";
import fc from "fast-check";
import { Interest } from "../../src/feed/interest.ts";
import type { DeviceBatch, DeviceState, InterestChange, Snapshot } from "../../src/feed/seam.ts";
import { frameOf } from "../../src/protocol/frame.ts";
import { RemoteFeeds } from "../../src/workers/remote_feeds.ts";
import { SnapshotPacker } from "../../src/workers/snapshot_packer.ts";
import type { SnapshotParcel } from "../../src/workers/snapshot_parcel.ts";
import { EMPTY_SNAPSHOT } from "../support/empty_snapshot.ts";
import { sampleAt } from "../support/samples.ts";

const TENANT = "acme";
const DEVICE = "dev-1";

/** A worker, the keeper's side of one tenant, and what is under way between them in either direction. */
class Line {
  readonly feeds = new RemoteFeeds((change) => void this.#up.push(change));
  readonly #up: InterestChange[] = [];
  readonly #down: SnapshotParcel[] = [];
  readonly #given: Snapshot[] = [];
  #follower = newFollower();

  constructor() {
    this.feeds.listen((snapshot) => void this.#given.push(snapshot));
  }

  /** What the keeper has heard of. */
  get interest(): Interest {
    return this.#follower.interest;
  }

  change(change: Omit<InterestChange, "tenantId">): void {
    this.feeds.change({ tenantId: TENANT, ...change });
  }

  /** The keeper hears of one change, and counts it as it does for one of several workers. */
  hear(): boolean {
    const change = this.#up.shift();
    if (change === undefined) return false;
    this.interest.apply(change);
    this.#follower.packer.note(change);
    if (this.interest.connections === 0) this.#follower = newFollower();
    return true;
  }

  hearAll(): void {
    while (this.hear());
  }

  /** The keeper has something to tell. */
  tell(snapshot: Partial<Snapshot>): void {
    const parcel = this.#follower.packer.pack({ ...EMPTY_SNAPSHOT, ...snapshot });
    if (parcel !== null) this.#down.push(structuredClone(parcel));
  }

  /** What the worker's connections are given of what is the first under way. */
  receive(): Snapshot | null {
    const parcel = this.#down.shift();
    if (parcel !== undefined) this.feeds.take(parcel);
    return this.#given.shift() ?? null;
  }
}

function newFollower() {
  const interest = new Interest();
  return { interest, packer: new SnapshotPacker(interest) };
}

function batchOf(number: number): DeviceBatch {
  return { deviceId: DEVICE, number, readAt: 0, samples: [], floor: "" };
}

function stateOf(seq: number): DeviceState {
  const sample = sampleAt(seq);
  const frame = frameOf({ type: "telemetry", device_id: DEVICE, data: sample });
  return { deviceId: DEVICE, seq, readAt: 0, version: seq, isStale: false, sample, frame };
}

Deno.test("Who comes after a tenant's last connection has left is given nothing that those were told, and all that is new", () => {
  const line = new Line();
  const follow = (count: 1 | -1) =>
    line.change({ connections: count, devices: [{ deviceId: DEVICE, latest: count }] });
  follow(1);
  line.hearAll();
  // The feed that numbered this read ends before those hear of it who come next.
  line.tell({ devices: [stateOf(5_000)] });
  follow(-1);
  follow(1);
  assert.equal(line.receive(), null);
  line.hearAll();
  line.tell({ devices: [stateOf(1)] });
  assert.deepEqual(line.receive()?.devices.map(({ seq }) => seq), [1]);
});

Deno.test("Who leaves the fleet and follows it again is given the counts of a read for the second time only", () => {
  const line = new Line();
  line.change({ connections: 1, fleet: 1 });
  line.hearAll();
  const devices = { total: 1, online: 1, stale: 0 };
  const frame = frameOf({ type: "fleet", devices, alerts: null });
  line.tell({ fleet: { seq: 1, readAt: 0, version: 1, frame } });
  line.change({ fleet: -1 });
  line.change({ fleet: 1 });
  assert.equal(line.receive()?.fleet, null);
  line.hearAll();
  const again = { seq: 2, readAt: 0, version: 1, frame };
  line.tell({ fleet: again });
  assert.deepEqual(line.receive()?.fleet, again);
});

Deno.test("However every sample goes on being followed, by name or among all, no batch is left out and none is older", () => {
  const step = fc.constantFrom("name", "all", "read", "hear", "receive");
  let given = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const line = new Line();
      line.change({ connections: 1 });
      const follows = { name: false, all: false };
      /** The number of the last batch that was given, of those since the device has been followed without a break. */
      let last: number | null = null;
      /** The number of the feed's last batch; each time that nobody follows it any more the feed begins anew. */
      let told = 0;
      const hear = () => {
        const isHeard = line.hear();
        if (!line.interest.followsEvery(DEVICE)) told = 0;
        else if (told === 0) line.tell({ batches: [batchOf(told = 1)] });
        return isHeard;
      };
      const read = () => {
        if (told > 0) line.tell({ batches: [batchOf(++told)] });
      };
      const receive = () => {
        for (const { number } of line.receive()?.batches ?? []) {
          assert.equal(number, (last ?? 0) + 1);
          last = number;
          given++;
        }
      };
      for (const step of steps) {
        if (step === "hear") hear();
        else if (step === "read") read();
        else if (step === "receive") receive();
        else {
          follows[step as "name" | "all"] = !follows[step as "name" | "all"];
          const every = follows[step as "name" | "all"] ? 1 : -1;
          line.change(
            step === "all"
              ? { all: { latest: 0, every } }
              : { devices: [{ deviceId: DEVICE, latest: 0, every }] },
          );
          if (!follows.name && !follows.all) last = null;
        }
      }
      while (hear());
      read();
      for (const _ of [...steps, "more"]) receive();
      assert.equal(last, told === 0 ? null : told);
    }),
    { numRuns: 2_000 },
  );
  assert.ok(given > 1_000, `only ${given} batches were given`);
});
