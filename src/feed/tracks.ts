// The tracks of all devices whose every sample somebody follows, and how each begins. A device that is followed must
// never begin anew: what was stored between the two beginnings would be told to nobody.
import type { ReadStart } from "./read_start.ts";
import type { DeviceBatch } from "./seam.ts";
import { Track } from "./track.ts";

export interface TracksOptions {
  readonly lateMs: number;
  /** Devices that are tracked because all are followed. */
  readonly maxDevices: number;
}

/** Something whose beginning waits for a read: `new` for the next one, `failed` for the next tick's. */
interface Beginning {
  phase: "new" | "reading" | "failed";
  /** Instant with nine digits at which it was first asked for: samples later than it are new, whenever they are read. */
  readonly since: string;
}

/** The time during which somebody follows every sample of every device. */
interface AllPeriod extends Beginning {
  /** The last read that met all devices; those that it did not find had no sample then. */
  start: ReadStart | null;
  /** Those that it found and that have no track. */
  untracked: ReadonlySet<string>;
}

/** What one read is going to begin. */
export interface Claim {
  readonly devices: Map<string, Beginning>;
  readonly all: AllPeriod | null;
}

/** A read of all devices. */
export interface Meeting {
  /** Those that may be tracked, the most wanted first. */
  readonly kept: readonly string[];
  readonly found: ReadonlyMap<string, unknown>;
  /** Whether somebody follows every sample of the device by its name. */
  readonly isNamed: (deviceId: string) => boolean;
  readonly start: ReadStart;
}

export class Tracks {
  readonly #options: TracksOptions;
  readonly #tracks = new Map<string, Track>();
  readonly #beginnings = new Map<string, Beginning>();
  #all: AllPeriod | null = null;

  constructor(options: TracksOptions) {
    this.#options = options;
  }

  get(deviceId: string): Track | undefined {
    return this.#tracks.get(deviceId);
  }

  get values(): readonly Track[] {
    return [...this.#tracks.values()];
  }

  /** The devices that wait for their first read. */
  get newDevices(): readonly string[] {
    return [...this.#beginnings].filter(([, { phase }]) => phase === "new").map(([id]) => id);
  }

  get hasNew(): boolean {
    return this.isAllNew || this.#beginnings.values().some(({ phase }) => phase === "new");
  }

  get isAllNew(): boolean {
    return this.#all?.phase === "new";
  }

  /** Has a track begun at an instant with nine digits, where there is none yet. */
  want(deviceId: string, since: string): void {
    if (this.#tracks.has(deviceId) || this.#beginnings.has(deviceId)) return;
    // Who follows all devices, and has met none of them yet, follows this one for longer.
    const unmet = this.#all?.start === null ? this.#all.since : null;
    this.#beginnings.set(deviceId, { phase: "new", since: unmet ?? since });
  }

  wantAll(since: string): void {
    this.#all ??= { phase: "new", since, start: null, untracked: new Set() };
  }

  forget(deviceId: string): void {
    this.#tracks.delete(deviceId);
    this.#beginnings.delete(deviceId);
  }

  /** Nobody follows all devices any more; those that are followed by name stay. */
  forgetAll(isNamed: (deviceId: string) => boolean): void {
    this.#all = null;
    for (const deviceId of [...this.#tracks.keys(), ...this.#beginnings.keys()]) {
      if (!isNamed(deviceId)) this.forget(deviceId);
    }
  }

  /** Says which beginnings a read of these devices is for, so that no other read begins them meanwhile. */
  claim(
    deviceIds: Iterable<string> | "all",
    { retries }: { readonly retries: "none" | "failed" },
  ): Claim {
    const isFree = ({ phase }: Beginning) =>
      phase === "new" || (phase === "failed" && retries === "failed");
    const devices = new Map<string, Beginning>();
    for (const deviceId of deviceIds === "all" ? this.#beginnings.keys() : deviceIds) {
      const beginning = this.#beginnings.get(deviceId);
      if (beginning === undefined || !isFree(beginning)) continue;
      beginning.phase = "reading";
      devices.set(deviceId, beginning);
    }
    // Every read of all devices may meet some, also while an earlier one is under way, which may fail.
    const all = deviceIds === "all" ? this.#all : null;
    if (all !== null) all.phase = "reading";
    return { devices, all };
  }

  /** What the claim's read did not begin waits for the next tick's. */
  release({ devices, all }: Claim): void {
    for (const beginning of devices.values()) beginning.phase = "failed";
    if (all !== null && all.start === null) all.phase = "failed";
  }

  /** Whether the device of a claim is followed still, and not begun yet. */
  isOpen(claim: Claim, deviceId: string): boolean {
    const beginning = claim.devices.get(deviceId);
    return beginning !== undefined && this.#beginnings.get(deviceId) === beginning;
  }

  /** The last read of all devices, if it did not find this one: all that was stored since is new to who follows all. */
  missedBy(deviceId: string): ReadStart | null {
    if (this.#all === null || this.#all.untracked.has(deviceId)) return null;
    return this.#all.start;
  }

  /** Begins a track; its first batch holds no samples. */
  begin(track: Track, readAt: number): DeviceBatch {
    const { deviceId, number, floor, seen } = track;
    this.#beginnings.delete(deviceId);
    this.#tracks.set(deviceId, track);
    return { deviceId, number, readAt, samples: [], floor, seen };
  }

  /**
   * Takes note of the devices that a read of all of them found. Those of the first such read join the claim: they
   * begin as others do. One that was not there before begins at that earlier read, so that all its samples are new.
   */
  meet(claim: Claim, { kept, found, isNamed, start }: Meeting): readonly DeviceBatch[] {
    const { all } = claim;
    if (all === null || all !== this.#all) return [];
    if (all.start !== null && all.start.seq > start.seq) return [];
    const begun: DeviceBatch[] = [];
    const fresh = kept.filter((id) => !this.#tracks.has(id));
    for (const deviceId of fresh.slice(0, this.#makeRoom(fresh.length, { found, isNamed }))) {
      const missedBy = this.missedBy(deviceId);
      if (missedBy !== null) {
        const { lateMs } = this.#options;
        const track = new Track({ deviceId, cursor: null, start: missedBy, lateMs });
        begun.push(this.begin(track, start.readAt));
      } else if (!this.#beginnings.has(deviceId)) {
        // One that was found before, and for which there was no room, begins now.
        const since = all.start === null ? all.since : start.instant;
        const beginning: Beginning = { phase: "reading", since };
        this.#beginnings.set(deviceId, beginning);
        claim.devices.set(deviceId, beginning);
      }
    }
    all.start = start;
    all.untracked = new Set(found.keys().filter((id) => !this.#tracks.has(id)));
    return begun;
  }

  /** Says how many of the wanted tracks may begin; devices that are silent for so long that no read finds them make room. */
  #makeRoom(
    wanted: number,
    { found, isNamed }: Pick<Meeting, "found" | "isNamed">,
  ): number {
    if (wanted === 0) return 0;
    const implied = [...this.#tracks.keys()].filter((id) => !isNamed(id));
    let room = this.#options.maxDevices - implied.length;
    for (const deviceId of implied) {
      if (room >= wanted) break;
      if (found.has(deviceId)) continue;
      this.forget(deviceId);
      room++;
    }
    return Math.max(0, room);
  }
}
