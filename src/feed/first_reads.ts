// Asks for reads of what nobody followed a moment ago: what comes within a few milliseconds shares a read, and so does
// what comes while one is under way. It decides what such a read is for, never how it is made.
import type { Clock, TimerHandle } from "../clock.ts";
import type { Interest } from "./interest.ts";
import type { InterestChange } from "./seam.ts";
import type { TelemetryReads } from "./telemetry_reads.ts";

export interface FirstReadsOptions {
  readonly interest: Interest;
  readonly telemetry: Pick<TelemetryReads, "newDevices" | "isAllNew" | "hasNew">;
  readonly clock: Clock;
  /**
   * Neither of the reads rejects. They read nothing while a pause lasts: the tick that ends it brings what was asked for.
   * False when it read nothing.
   */
  readonly readDevices: (target: readonly string[] | "all") => Promise<boolean>;
  readonly readAlerts: () => Promise<void>;
  readonly announce: () => void;
}

/** First values asked for within this time are one read. */
const FIRST_READ_WINDOW_MS = 5;

export class FirstReads {
  readonly #options: FirstReadsOptions;
  readonly #devices = new Set<string>();
  /** What the read under way is for; null while there is none. */
  #reading: ReadonlySet<string> | "all" | null = null;
  #wantsAll = false;
  #wantsAlerts = false;
  #readingAlerts: "core" | "whole" | null = null;
  #announces = false;
  #timer: TimerHandle | null = null;
  #isStopped = false;

  constructor(options: FirstReadsOptions) {
    this.#options = options;
  }

  /** Takes note of what is asked for, and of devices whose every sample is new to be followed. */
  ask(
    first: InterestChange["first"],
    { announces }: { readonly announces: boolean },
  ): void {
    const { clock, interest, telemetry } = this.#options;
    const reading = this.#reading;
    for (const deviceId of first?.devices ?? []) {
      const isShared = reading !== null && reading !== "all" && reading.has(deviceId);
      if (!isShared) this.#devices.add(deviceId);
    }
    const isFleet = first?.fleet === true;
    if ((first?.all === true || isFleet) && reading !== "all") this.#wantsAll = true;
    const isEnough = this.#readingAlerts === "whole" ||
      (this.#readingAlerts === "core" && !interest.needsWholeAlerts);
    if ((first?.alerts === true || isFleet) && !isEnough) this.#wantsAlerts = true;
    this.#announces ||= announces;
    const isAsked = this.#devices.size > 0 || this.#wantsAll || this.#wantsAlerts ||
      this.#announces || telemetry.hasNew;
    if (!isAsked) return;
    this.#timer ??= clock.setTimeout(() => {
      this.#timer = null;
      this.#read();
    }, FIRST_READ_WINDOW_MS);
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) this.#options.clock.clearTimeout(this.#timer);
  }

  #read(): void {
    if (this.#isStopped) return;
    if (this.#announces) {
      this.#announces = false;
      this.#options.announce();
    }
    this.#readAlerts();
    // One read of first devices at a time: those that come meanwhile share the next.
    if (this.#reading === null) this.#readDevices();
  }

  async #readDevices(): Promise<void> {
    const { interest, readDevices, telemetry } = this.#options;
    const deviceIds = new Set([...this.#devices, ...telemetry.newDevices]);
    const isAll = (this.#wantsAll || telemetry.isAllNew) && interest.needsAllDevices;
    this.#devices.clear();
    this.#wantsAll = false;
    const named = [...deviceIds].filter((id) => interest.follows(id));
    if (!isAll && named.length === 0) return;
    this.#reading = isAll ? "all" : new Set(named);
    const isRead = await readDevices(isAll ? "all" : named);
    this.#reading = null;
    if (isRead) this.#read();
  }

  async #readAlerts(): Promise<void> {
    if (!this.#wantsAlerts) return;
    const { interest, readAlerts } = this.#options;
    this.#wantsAlerts = false;
    if (!interest.needsAlerts) return;
    this.#readingAlerts = interest.needsWholeAlerts ? "whole" : "core";
    await readAlerts();
    this.#readingAlerts = null;
  }
}
