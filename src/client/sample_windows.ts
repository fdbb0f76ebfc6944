// What one listener has of each device, and from where all of them would be asked for again. That is one instant, or one
// span, and must not lie behind what any of them is still due.
import type { Clock } from "../clock.ts";
import type { Start } from "./device_needs.ts";
import { earlierBy } from "./instants.ts";
import { SampleWindow } from "./sample_window.ts";

export interface SampleWindowsOptions {
  readonly clock: Clock;
  /** How late a sample may come and is still wanted. */
  readonly lateMs: number;
}

/** A past that was asked for, of which some devices have given nothing yet. */
interface Unbegun {
  readonly start: Start;
  /** By this machine's clock. */
  readonly askedAt: number;
  /** Null while nobody said which they are. */
  devices: Set<string> | null;
}

/** Of all devices at once the earliest cursor counts, but a silent device must not make all the others' history long. */
const SPREAD_MS = 300_000;

export class SampleWindows {
  readonly #options: SampleWindowsOptions;
  readonly #windows = new Map<string, SampleWindow>();
  /** Devices that their own subscriptions hold, and not the one to all. */
  readonly #heldByOwn = new Set<string>();
  #limit: string | null = null;
  #unbegun: Unbegun | null = null;

  constructor(options: SampleWindowsOptions) {
    this.#options = options;
  }

  /** From where all would be asked for again; null where nothing was asked for and nothing came. */
  start(): Start | null {
    if (this.#unbegun === null) {
      const instant = this.#resumeInstant();
      return instant === null ? null : { kind: "after", instant };
    }
    const { start, askedAt } = this.#unbegun;
    if (start.kind !== "back") return start;
    const elapsed = Math.max(0, this.#options.clock.now() - askedAt);
    return { kind: "back", seconds: start.seconds + Math.ceil(elapsed / 1_000) };
  }

  /** A resume of one device asks for what is later than this; null where there is nothing to resume. */
  floorOf(deviceId: string): string | null {
    return this.#windows.get(deviceId)?.floor ?? null;
  }

  /** All are due from here, whatever comes before they are asked for. */
  keep(start: Start): void {
    if (start.kind !== "now" && this.#unbegun === null) this.widen(start);
  }

  /** All are due from here, and were from a later start before. */
  widen(start: Start): void {
    this.#unbegun = { start, askedAt: this.#options.clock.now(), devices: null };
  }

  /** All were asked for; what is not later than `limit`, where there is one, is not wanted. */
  ask(start: Start, limit: string | null): void {
    this.keep(start);
    for (const [deviceId, window] of this.#windows) {
      if (!this.#heldByOwn.has(deviceId)) window.hold(limit);
    }
    this.#limit = limit;
  }

  /** One device was asked for on behalf of somebody else; `limit` as for all. */
  hold(deviceId: string, limit: string | null): void {
    this.#heldByOwn.add(deviceId);
    this.#make(deviceId).hold(limit);
  }

  /** History of these devices is on its way, and of no others; null where nobody knows of which. */
  answered(devices: ReadonlySet<string> | null): void {
    if (devices === null) return;
    for (const [deviceId, window] of this.#windows) {
      if (!devices.has(deviceId) && !this.#heldByOwn.has(deviceId)) window.release();
    }
    if (this.#unbegun === null) return;
    const left = [...devices].filter((deviceId) => this.floorOf(deviceId) === null);
    this.#unbegun = left.length === 0 ? null : { ...this.#unbegun, devices: new Set(left) };
  }

  /** A stored sample of this device was taken: it goes on from there. */
  begun(deviceId: string): void {
    if (this.#unbegun?.devices?.delete(deviceId) !== true) return;
    if (this.#unbegun.devices.size === 0) this.#unbegun = null;
  }

  /** The history of this device is here. */
  release(deviceId: string): void {
    this.begun(deviceId);
    if (this.#windows.has(deviceId)) this.open(deviceId);
  }

  /** What comes of the device is live. */
  open(deviceId: string): SampleWindow {
    this.#heldByOwn.delete(deviceId);
    const window = this.of(deviceId);
    window.release();
    return window;
  }

  /** The history of all is here. */
  filled(): void {
    this.#unbegun = null;
    this.#limit = null;
  }

  /** A new one is held until it is released: what comes first may be history. */
  of(deviceId: string): SampleWindow {
    const known = this.#windows.get(deviceId);
    if (known !== undefined) return known;
    const window = this.#make(deviceId);
    window.hold(this.#limit);
    return window;
  }

  clear(): void {
    this.#heldByOwn.clear();
    this.#windows.clear();
  }

  #make(deviceId: string): SampleWindow {
    const window = this.#windows.get(deviceId) ?? new SampleWindow(this.#options.lateMs);
    this.#windows.set(deviceId, window);
    return window;
  }

  #resumeInstant(): string | null {
    // What is held is due for certain, however far back it lies.
    let held: string | null = null;
    let live: string | null = null;
    let readAt: string | null = null;
    for (const { floor, isHeld, readAt: at } of this.#windows.values()) {
      if (isHeld) held = earlier(held, floor);
      else live = earlier(live, floor);
      if (at !== null && (readAt === null || at > readAt)) readAt = at;
    }
    if (this.#windows.size > 1 && live !== null && readAt !== null) {
      const bound = earlierBy(readAt, SPREAD_MS);
      if (bound > live) live = bound;
    }
    return earlier(held, live);
  }
}

function earlier(one: string | null, other: string | null): string | null {
  return one === null || (other !== null && other < one) ? other : one;
}
