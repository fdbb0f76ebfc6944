// One tenant's reads of telemetry: the newest samples of what is followed, and every sample where somebody wants that, in
// as few queries as that takes. It decides what is read together, never when, and delivers nothing itself.
import type { Clock } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import { instantOfMs } from "../protocol/nano_instant.ts";
import type { TelemetrySource } from "../sources/telemetry_source.ts";
import { AllDevices, type AllDevicesOptions } from "./all_devices.ts";
import type { Interest } from "./interest.ts";
import { byAge } from "./range_plan.ts";
import { type ReadStart, readStart } from "./read_start.ts";
import type { DeviceState, InterestChange } from "./seam.ts";
import type { TelemetryNews } from "./telemetry_news.ts";
import { TelemetryStates } from "./telemetry_states.ts";
import type { Track } from "./track.ts";
import { type NewestOf, type StartedClaim, TrackReads } from "./track_reads.ts";
import { Tracks } from "./tracks.ts";

export interface TelemetryReadsOptions {
  readonly tenantId: string;
  readonly source: TelemetrySource;
  readonly interest: Interest;
  readonly pollIntervalMs: number;
  readonly lateMs: number;
  readonly staleMs: number;
  readonly maxFleetDevices: number;
  readonly cut?: AllDevicesOptions["cut"];
  /** Most samples of one device in one read; MAX_SAMPLES_PER_READ where nothing is said. */
  readonly maxSamples?: number;
  readonly quarantineMs: number;
  /** Numbers each read of the tenant. */
  readonly nextSeq: () => number;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Called for each part that was read, so that what one brought outlives the failure of the next. */
export type Emit = (news: TelemetryNews) => void;

interface Newest extends TelemetryNews {
  readonly newestOf: NewestOf;
}

/** Beyond what ticks and late samples take, so that a tick that comes late changes nothing. */
const NEAR_SLACK_MS = 1_000;

export class TelemetryReads {
  readonly #options: TelemetryReadsOptions;
  readonly #states: TelemetryStates;
  readonly #all: AllDevices;
  readonly #tracks: Tracks;
  readonly #trackReads: TrackReads;
  readonly #nearMs: number;

  constructor(options: TelemetryReadsOptions) {
    this.#options = options;
    const { lateMs, maxFleetDevices: maxDevices, pollIntervalMs } = options;
    this.#states = new TelemetryStates(options);
    this.#all = new AllDevices({ ...options, states: this.#states, maxDevices });
    this.#tracks = new Tracks({ lateMs, maxDevices });
    this.#nearMs = lateMs + 2 * pollIntervalMs + NEAR_SLACK_MS;
    this.#trackReads = new TrackReads({
      ...options,
      states: this.#states,
      tracks: this.#tracks,
      nearMs: this.#nearMs,
    });
  }

  /** Whether a tick has anything to read. */
  get isWanted(): boolean {
    const { interest } = this.#options;
    return interest.deviceCount > 0 || interest.needsAllDevices;
  }

  /** The devices whose every sample somebody began to follow and that no read was made for. */
  get newDevices(): readonly string[] {
    return this.#tracks.newDevices;
  }

  /** Whether somebody began to follow every sample of every device and no read was made for it. */
  get isAllNew(): boolean {
    return this.#tracks.isAllNew;
  }

  get hasNew(): boolean {
    return this.#tracks.hasNew;
  }

  /** Whether the feed brings every sample of the device. */
  isTracked(deviceId: string): boolean {
    return this.#tracks.get(deviceId) !== undefined;
  }

  /** Keeps in step with a change of interest that has been counted. */
  change({ devices = [], all, at }: InterestChange): void {
    const { clock, interest } = this.#options;
    const since = instantOfMs(at ?? clock.now());
    for (const { deviceId } of devices) {
      if (!interest.follows(deviceId)) this.#states.forget(deviceId);
      if (this.#isNamedEvery(deviceId)) this.#tracks.want(deviceId, since);
      if (interest.followsEvery(deviceId)) continue;
      this.#tracks.forget(deviceId);
      this.#trackReads.forget(deviceId);
    }
    if (all === undefined) return;
    if (interest.followsAllEvery) this.#tracks.wantAll(since);
    else this.#tracks.forgetAll((id) => this.#isNamedEvery(id));
    if (!interest.followsAll) this.#forgetUnfollowed(this.#states.deviceIds);
  }

  /** A tick's reads. Returns null when nothing was learned; throws what a source threw after emitting what it could. */
  async tick(emit: Emit): Promise<true | null> {
    const { clock, interest } = this.#options;
    const bound = instantOfMs(clock.now() - this.#nearMs);
    const near = this.#tracks.values.filter((track) =>
      track.isNear(bound) && !this.#trackReads.isSetAside(track.deviceId)
    );
    const isNear = new Set(near.map(({ deviceId }) => deviceId));
    const target = interest.needsAllDevices
      ? "all"
      : interest.deviceIds.filter((id) => !isNear.has(id));
    return await this.#read(target, { near, isTick: true, emit });
  }

  /** Reads what nobody followed a moment ago. Returns and throws as `tick` does. */
  async first(target: readonly string[] | "all", emit: Emit): Promise<true | null> {
    return await this.#read(target, { near: [], isTick: false, emit });
  }

  async #read(
    target: readonly string[] | "all",
    { near, isTick, emit }: {
      readonly near: readonly Track[];
      readonly isTick: boolean;
      readonly emit: Emit;
    },
  ): Promise<true | null> {
    const start = this.#start();
    const claim = this.#tracks.claim(target, { retries: isTick ? "failed" : "none" });
    try {
      const [newest, recent] = await Promise.allSettled([
        this.#readNewest(target, { claim, start }),
        this.#trackReads.read(near, start),
      ]);
      const found = newest.status === "fulfilled" ? newest.value?.() ?? null : null;
      const ranged = recent.status === "fulfilled" ? recent.value?.() ?? null : null;
      const newestOf = found?.newestOf ?? (() => undefined);
      const begun = this.#trackReads.beginFar({ claim, start }, newestOf);
      emit({
        devices: latestOf([...found?.devices ?? [], ...ranged?.devices ?? []]),
        batches: [...found?.batches ?? [], ...begun, ...ranged?.batches ?? []],
        counts: found?.counts ?? null,
      });
      for (const result of [recent, newest]) {
        if (result.status === "rejected") throw result.reason;
      }
      const late = await this.#trackReads.beginNear({ claim, start });
      if (late !== null) emit({ devices: [], batches: late(), counts: null });
      const isBehindRead = isTick && await this.#readBehind({ near, newestOf, emit });
      return found !== null || ranged !== null || late !== null || isBehindRead ? true : null;
    } finally {
      this.#tracks.release(claim);
      this.#forgetUnfollowed(target === "all" ? this.#states.deviceIds : target);
    }
  }

  /** What it found is made when it is told: the tick's other read may take longer, and who was left since is told nothing. */
  async #readNewest(
    target: readonly string[] | "all",
    { claim, start }: StartedClaim,
  ): Promise<(() => Newest) | null> {
    const { interest, signal } = this.#options;
    if (target === "all") {
      const { states, kept, newest, counts } = await this.#all.read({
        start,
        signal,
        named: interest.deviceIds,
        wantsAll: () => interest.followsAll,
        isKept: (id) => this.#tracks.get(id) !== undefined,
      });
      return () => ({
        devices: this.#followed(states),
        newestOf: (id) => newest.get(id) ?? this.#newestAt(start, id),
        batches: this.#tracks.meet(claim, {
          kept,
          found: newest,
          isNamed: (id) => this.#isNamedEvery(id),
          start,
        }),
        counts: { ...counts, seq: start.seq, readAt: start.readAt },
      });
    }
    const states = target.length === 0 ? null : await this.#states.read(target, { start, signal });
    if (states === null) return null;
    return () => ({
      devices: this.#followed(states),
      newestOf: (id) => this.#newestAt(start, id),
      batches: [],
      counts: null,
    });
  }

  /** Reads devices that are not near: those that a read before left unfinished, and those that have something newer. */
  async #readBehind(
    { near, newestOf, emit }: {
      readonly near: readonly Track[];
      readonly newestOf: NewestOf;
      readonly emit: Emit;
    },
  ): Promise<boolean> {
    const isRead = new Set(near);
    const behind = this.#tracks.values.filter((track) =>
      !isRead.has(track) && !this.#trackReads.isSetAside(track.deviceId) &&
      track.isBehind(newestOf(track.deviceId) ?? null)
    );
    const now = this.#options.clock.now();
    let isLearned = false;
    for (const group of byAge(behind, { now, youngestMs: this.#nearMs })) {
      // What this tick has said of a device's newest sample is not said again.
      const said = new Map(
        group.filter(({ deviceId }) => newestOf(deviceId) !== undefined)
          .map(({ deviceId }) => [deviceId, this.#states.get(deviceId)?.version]),
      );
      const read = await this.#trackReads.read(group, this.#start());
      if (read === null) continue;
      isLearned = true;
      const isNews = ({ deviceId, version }: DeviceState) => said.get(deviceId) !== version;
      const news = read();
      emit({ ...news, devices: news.devices.filter(isNews) });
    }
    return isLearned;
  }

  #newestAt({ seq }: ReadStart, deviceId: string): string | null | undefined {
    const state = this.#states.get(deviceId);
    return state?.seq === seq ? state.sample?.timestamp ?? null : undefined;
  }

  #start(): ReadStart {
    const { clock, lateMs, nextSeq, staleMs } = this.#options;
    const start = readStart(clock.now(), { seq: nextSeq(), lateMs, staleMs });
    this.#states.begin(start);
    return start;
  }

  #isNamedEvery(deviceId: string): boolean {
    return this.#options.interest.everyFollowersOf(deviceId) > 0;
  }

  #followed(states: readonly DeviceState[]): readonly DeviceState[] {
    const { interest } = this.#options;
    return states.filter(({ deviceId }) => interest.follows(deviceId));
  }

  /** Unfollowed while they were read, or with all devices: nobody else would forget them. */
  #forgetUnfollowed(deviceIds: readonly string[]): void {
    const { interest } = this.#options;
    for (const deviceId of deviceIds) {
      if (!interest.follows(deviceId)) this.#states.forget(deviceId);
    }
  }
}

/** Of two states of one device the later one. */
function latestOf(states: readonly DeviceState[]): readonly DeviceState[] {
  return [...new Map(states.map((state) => [state.deviceId, state])).values()];
}
