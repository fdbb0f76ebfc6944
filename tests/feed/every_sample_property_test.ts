// Whatever is written, read, failed and followed in whatever order: each stored sample inside the rules is delivered once
// to each period in which its device was followed.
import assert from "node:assert/strict";
import fc from "fast-check";
import { FeedRegistry } from "../../src/feed/feed_registry.ts";
import type { DeviceBatch, Snapshot } from "../../src/feed/seam.ts";
import { instantOfMs } from "../../src/protocol/nano_instant.ts";
import { SourceError } from "../../src/sources/source_error.ts";
import { holds } from "../fuzz/seeded.ts";
import { type FakeClock, fakeClock } from "../support/fake_clock.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { memoryLog } from "../support/memory_log.ts";
import { FUTURE_MS, type ReadKind, StoredTelemetry } from "./stored_telemetry.ts";

const POLL_MS = 1_000;
const LATE_MS = 3_000;
const DEVICES = ["dev-0", "dev-1", "dev-2"];

type Step =
  | {
    readonly act: "write";
    readonly device: number;
    readonly ageMs: number;
    readonly count: number;
  }
  | { readonly act: "rewrite"; readonly device: number; readonly pick: number }
  | { readonly act: "pass"; readonly ms: number }
  | { readonly act: "follow" | "unfollow"; readonly device: number }
  | { readonly act: "followAll" | "unfollowAll" | "heal" }
  | { readonly act: "fail"; readonly kind: ReadKind; readonly error: "unavailable" | "rejected" }
  | { readonly act: "spoil"; readonly device: number; readonly kind: ReadKind }
  | { readonly act: "slow"; readonly readMs: number; readonly seesEnd: boolean };

const device = fc.nat(DEVICES.length - 1);
const steps = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        act: fc.constant("write" as const),
        device,
        ageMs: fc.oneof(
          fc.constant(0),
          fc.integer({ min: 0, max: LATE_MS }),
          fc.integer({ min: LATE_MS + 1, max: 60_000 }),
          fc.integer({ min: -FUTURE_MS - 5_000, max: -1 }),
          fc.constant(3_600_000),
        ),
        count: fc.integer({ min: 1, max: 4 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ act: fc.constant("rewrite" as const), device, pick: fc.nat() }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        act: fc.constant("pass" as const),
        ms: fc.constantFrom(1, 5, 40, 300, 1_000, 1_000, 2_500, 15_000),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        act: fc.constantFrom<"follow" | "unfollow">("follow", "follow", "unfollow"),
        device,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        act: fc.constantFrom<"followAll" | "unfollowAll" | "heal">(
          ...["followAll", "unfollowAll", "heal", "heal"] as const,
        ),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        act: fc.constant("fail" as const),
        kind: fc.constantFrom<ReadKind>("latest", "range", "list"),
        error: fc.constantFrom("unavailable" as const, "rejected" as const),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        act: fc.constant("spoil" as const),
        device,
        kind: fc.constantFrom<ReadKind>("latest", "range"),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        act: fc.constant("slow" as const),
        readMs: fc.constantFrom(0, 3, 60, 700),
        seesEnd: fc.boolean(),
      }),
    },
  ),
  { minLength: 10, maxLength: 40, size: "max" },
);

interface Written {
  readonly timestamp: string;
  /** When a read could see it first. */
  readonly visibleAt: number;
  /** In time by the clock, or, beside all that was stored of the device before, by its order. */
  readonly isInTime: boolean;
  readonly isInOrder: boolean;
}

/** The time during which a device was followed without a break. */
interface Period {
  readonly followedAt: number;
  /** When it was followed last in another way, by its name or as one of all: who did before may have left. */
  changedAt: number;
  /** Under all devices only: whether there was nothing of it when it began. */
  begunAt: number | null;
  firstFloor: string;
  floor: string;
  hadSample: boolean;
  number: number;
  readonly delivered: Set<string>;
}

class World {
  readonly clock: FakeClock = fakeClock();
  readonly telemetry = new StoredTelemetry(this.clock);
  readonly #feeds: FeedRegistry;
  readonly #written = new Map<string, Written[]>();
  readonly #named = new Set<string>();
  readonly #periods = new Map<string, Period>();
  readonly #isTruncating: boolean;
  #allSince: number | null = null;
  /** The first rule that a delivery broke. */
  #broken: unknown = null;
  /** Whether a query for newest samples was refused. */
  #hidesNewest = false;

  constructor(maxRangeSamples: number | null) {
    const sources = fakeSources();
    this.#isTruncating = maxRangeSamples !== null;
    this.#feeds = new FeedRegistry({
      telemetry: this.telemetry,
      alerts: sources.alerts,
      pollIntervalMs: POLL_MS,
      lateMs: LATE_MS,
      staleMs: 300_000,
      lingerMs: 1_000,
      maxAlerts: 100,
      maxOpenAlerts: 1_000,
      maxFleetDevices: 1_000,
      ...(maxRangeSamples === null ? {} : { maxRangeSamples }),
      states: () => sources.state(),
      clock: this.clock,
      log: memoryLog(),
      random: () => 0.5,
    });
    this.#feeds.listen((snapshot) => {
      try {
        this.#take(snapshot);
      } catch (error) {
        this.#broken ??= error;
      }
    });
    this.#feeds.change({ tenantId: "acme", connections: 1 });
  }

  async play(step: Step): Promise<void> {
    switch (step.act) {
      case "write":
        for (let index = 0; index < step.count; index++) {
          this.#write(DEVICES[step.device]!, step.ageMs - index);
        }
        break;
      case "rewrite": {
        const written = this.#written.get(DEVICES[step.device]!) ?? [];
        const again = written[step.pick % Math.max(1, written.length)];
        if (again !== undefined) this.telemetry.storeAt(DEVICES[step.device]!, again.timestamp);
        break;
      }
      case "pass":
        await this.clock.advance(step.ms);
        break;
      case "follow":
      case "unfollow":
        this.#name(DEVICES[step.device]!, step.act === "follow");
        break;
      case "followAll":
      case "unfollowAll":
        this.#followAll(step.act === "followAll");
        break;
      case "fail":
        if (step.kind === "latest" && step.error === "rejected") this.#hidesNewest = true;
        this.telemetry.fault = (kind) =>
          kind === step.kind ? new SourceError(step.error, "Failed as the test wants") : null;
        break;
      case "spoil":
        if (step.kind === "latest") this.#hidesNewest = true;
        this.telemetry.fault = (kind, deviceIds) =>
          kind === step.kind && (deviceIds === "all" || deviceIds.includes(DEVICES[step.device]!))
            ? new SourceError("rejected", "Spoiled as the test wants")
            : null;
        break;
      case "slow":
        this.telemetry.readMs = step.readMs;
        this.telemetry.seesEnd = step.seesEnd;
        break;
      case "heal":
        this.telemetry.fault = null;
        break;
    }
  }

  /** Everything is well again, for as long as pauses and quarantines may last and truncated reads go on. */
  async settle(): Promise<void> {
    await this.clock.advance(2 * LATE_MS + 2 * POLL_MS);
    this.telemetry.fault = null;
    this.telemetry.readMs = 0;
    await this.clock.advance(65_000 + FUTURE_MS);
    for (let tries = 0; tries < 10 && this.#missing().length > 0; tries++) {
      await this.clock.advance(20 * POLL_MS);
    }
    if (this.#broken !== null) throw this.#broken;
    assert.deepEqual(this.#missing(), []);
    this.#feeds[Symbol.dispose]();
    assert.equal(this.clock.timerCount, 0);
  }

  #write(deviceId: string, ageMs: number): void {
    const now = this.clock.now();
    const timestamp = instantOfMs(now - ageMs);
    const written = this.#written.get(deviceId) ?? [];
    this.#written.set(deviceId, written);
    this.telemetry.storeAt(deviceId, timestamp);
    if (written.some((one) => one.timestamp === timestamp)) return;
    written.push({
      timestamp,
      visibleAt: Math.max(now, now - ageMs - FUTURE_MS),
      isInTime: ageMs < LATE_MS,
      isInOrder: written.every((one) => one.timestamp < timestamp),
    });
  }

  #name(deviceId: string, follows: boolean): void {
    if (follows === this.#named.has(deviceId)) return;
    if (follows) this.#named.add(deviceId);
    else this.#named.delete(deviceId);
    this.#feeds.change({
      tenantId: "acme",
      devices: [{ deviceId, latest: 0, every: follows ? 1 : -1 }],
    });
    this.#begin(deviceId, follows || this.#allSince !== null);
  }

  #followAll(follows: boolean): void {
    if (follows === (this.#allSince !== null)) return;
    this.#allSince = follows ? this.clock.now() : null;
    this.#feeds.change({ tenantId: "acme", all: { latest: 0, every: follows ? 1 : -1 } });
    for (const deviceId of DEVICES) this.#begin(deviceId, follows || this.#named.has(deviceId));
  }

  #begin(deviceId: string, isFollowed: boolean): void {
    const period = this.#periods.get(deviceId);
    if (!isFollowed) this.#periods.delete(deviceId);
    else if (period !== undefined) period.changedAt = this.clock.now();
    else {
      this.#periods.set(deviceId, {
        followedAt: this.clock.now(),
        changedAt: this.clock.now(),
        begunAt: null,
        firstFloor: "",
        floor: "",
        hadSample: false,
        number: 0,
        delivered: new Set(),
      });
    }
  }

  #take({ batches }: Snapshot): void {
    for (const batch of batches) {
      const period = this.#periods.get(batch.deviceId);
      assert.ok(period !== undefined, `${batch.deviceId} is followed`);
      assert.equal(batch.number, period.number + 1);
      if (batch.number === 1) this.#takeFirst(batch, period);
      else this.#takeNext(batch, period);
      period.number = batch.number;
      assert.ok(batch.floor >= period.floor, "the floor never sinks");
      period.floor = batch.floor;
    }
  }

  #takeFirst({ deviceId, samples, floor }: DeviceBatch, period: Period): void {
    assert.deepEqual(samples, []);
    period.begunAt = this.clock.now();
    period.firstFloor = floor;
    const written = this.#written.get(deviceId) ?? [];
    // Where the newest could not be read, what is older than late samples may be counts as too old.
    period.hadSample = !this.#hidesNewest &&
      written.some(({ visibleAt }) => visibleAt < period.followedAt);
  }

  #takeNext({ deviceId, samples }: DeviceBatch, period: Period): void {
    assert.ok(samples.length > 0, "only what is new is delivered");
    let before = period.floor;
    for (const { sample: { timestamp }, frame } of samples) {
      assert.ok(timestamp > before, "ascending, and later than the floor before");
      before = timestamp;
      assert.ok(!period.delivered.has(timestamp), "nothing is delivered twice");
      period.delivered.add(timestamp);
      const written = this.#written.get(deviceId)?.find((one) => one.timestamp === timestamp);
      assert.ok(written !== undefined && isNewIn(period, written), "only new ones");
      assert.equal((frame.message as { device_id: string }).device_id, deviceId);
    }
  }

  /** What is stored inside the rules and was not delivered. */
  #missing(): readonly string[] {
    return [...this.#periods].flatMap(([deviceId, period]) => {
      const written = this.#written.get(deviceId) ?? [];
      const begunAt = this.#begunAt(written, period);
      return written
        .filter((sample) =>
          (sample.visibleAt > begunAt && this.#isDue(sample, period)) ||
          // Whatever the first reads did, what was stored until one worked and is later than their asking.
          (sample.visibleAt <= (period.begunAt ?? this.clock.now()) && sample.isInTime &&
            sample.timestamp > instantOfMs(period.changedAt))
        )
        .filter(({ timestamp }) => !period.delivered.has(timestamp))
        .map(({ timestamp }) => `${deviceId} ${timestamp}`);
    });
  }

  #begunAt(written: readonly Written[], { begunAt, followedAt }: Period): number {
    const since = this.#allSince;
    const met = since === null ? undefined : this.telemetry.allReadAt.find((at) => at >= since);
    // Of a device that a read of all did not find everything is new from then on.
    const isMissed = met !== undefined && written.every(({ visibleAt }) => visibleAt > met);
    return Math.min(begunAt ?? Infinity, isMissed ? Math.max(met, followedAt) : Infinity);
  }

  #isDue({ timestamp, visibleAt, isInTime, isInOrder }: Written, period: Period): boolean {
    if (visibleAt > this.clock.now()) return false;
    // What a truncated beginning could not look through counts as too old.
    if (this.#isTruncating && timestamp <= period.firstFloor) return false;
    return isInTime || (isInOrder && period.hadSample);
  }
}

/** A clock that runs ahead makes samples that are new whenever they were stored. */
function isNewIn({ followedAt }: Period, { timestamp, visibleAt }: Written): boolean {
  return visibleAt >= followedAt || timestamp > instantOfMs(followedAt);
}

for (const maxRangeSamples of [null, 5]) {
  const reads = maxRangeSamples === null ? "whole" : "truncated";
  Deno.test(`Each stored sample inside the rules is delivered once, whatever happens, with ${reads} reads`, async () => {
    await holds(
      fc.asyncProperty(steps, async (script) => {
        const world = new World(maxRangeSamples);
        for (const step of script) await world.play(step as Step);
        await world.settle();
      }),
      { numRuns: 500 },
    );
  });
}
