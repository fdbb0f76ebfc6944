// One listener to a device, or to all: what it has, what it is due, and what of each sample it is given. It is always in
// one state, and must never be given a sample twice or out of the order that the service sent.
import type { Clock } from "../clock.ts";
import type { Sample } from "../protocol/server_messages.ts";
import type { Gap } from "./client_events.ts";
import { earliest, type Needs, type Start } from "./device_needs.ts";
import { isSameSample } from "./is_same_sample.ts";
import { OwedPasts } from "./owed_pasts.ts";
import { projectSample } from "./project_sample.ts";
import type { PulsewireError } from "./pulsewire_error.ts";
import type { SampleWindow } from "./sample_window.ts";
import { SampleWindows } from "./sample_windows.ts";

/** A sample as listeners are given it. */
export interface DeviceSample extends Sample {
  readonly device_id: string;
  /** `history`: it was stored before it was asked for. `live`: it was just read. */
  readonly origin: "history" | "live";
}

/** What was stored before a listener came. */
export interface HistoryWish {
  readonly seconds: number | null;
  readonly since: string | null;
  readonly resolutionSeconds: number | null;
}

export interface FollowerOptions {
  readonly needs: Needs;
  readonly history: HistoryWish | null;
  readonly clock: Clock;
  readonly lateMs: number;
  /** False when the listener can't take more at present; it is then left behind, and resumes from what it has. */
  readonly take: (sample: DeviceSample) => boolean;
  readonly gap: (gap: Gap) => void;
  readonly caughtUp: () => void;
  /** The service does not give what was asked for. */
  readonly fail: (error: PulsewireError) => void;
}

/**
 * - `due`: a subscribe has to serve it.
 * - `asked`: one was sent; what is pushed until its answer belongs to the subscription before it.
 * - `live`: it is given what comes, first the history where it asked for some.
 * - `paused`: it can't take more.
 * - `refused`: the service does not give what it asked for; it waits for another connection.
 * - `left`: it is given nothing any more.
 */
type State = "due" | "asked" | "live" | "paused" | "refused" | "left";

export class Follower {
  readonly needs: Needs;
  readonly #options: FollowerOptions;
  readonly #windows: SampleWindows;
  #state: State = "due";
  /** What is elapsed counts from here, by a clock that goes on while the machine sleeps. */
  #since: number;
  /** Whether what it wished for at first is here. */
  #isFilled: boolean;
  /** Whether a subscribe to what it listens to was ever sent for it. */
  #wasAsked = false;
  /** When what it listens to begins, by this machine's clock; null until it was served. */
  #beganAt: number | null = null;
  #stoppedAt: string | null = null;
  /** Of who listens to all. */
  readonly #owed: OwedPasts;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.needs = options.needs;
    const { clock, lateMs } = options;
    // In mode latest what lies between two reads was left out on purpose, and is not late.
    this.#windows = new SampleWindows({ clock, lateMs: this.needs.mode === "every" ? lateMs : 0 });
    this.#owed = new OwedPasts(clock);
    this.#since = clock.now();
    this.#isFilled = options.history === null;
  }

  get isDue(): boolean {
    return this.#state === "due";
  }

  get isPaused(): boolean {
    return this.#state === "paused";
  }

  /** The device of which it could take no more, when it last paused. */
  get stoppedAt(): string | null {
    return this.#stoppedAt;
  }

  get isRefused(): boolean {
    return this.#state === "refused";
  }

  /** Whether the service has ever given it what it asked for. */
  get wasServed(): boolean {
    return this.#beganAt !== null;
  }

  /** Whether a hole would show: in every sample, or in a history that goes on. */
  get isContinuous(): boolean {
    return this.needs.mode === "every" || this.#options.history !== null;
  }

  /** The windows that its history has to come in; once that is there, samples as they are stored. */
  get resolutionSeconds(): number | null {
    return this.#isFilled ? null : this.#options.history?.resolutionSeconds ?? null;
  }

  /** Where what it is due begins. */
  start(): Start {
    const { history, clock, lateMs } = this.#options;
    if (!this.isContinuous) return { kind: "now" };
    // What one device's own subscription brought before says nothing of the others.
    const resumed = this.#wasAsked ? this.#windows.start() : null;
    if (resumed !== null) return resumed;
    const elapsed = Math.max(0, clock.now() - this.#since);
    if (!this.#isFilled) {
      const { since = null, seconds = null } = history ?? {};
      if (since !== null) return { kind: "after", instant: since };
      return { kind: "back", seconds: (seconds ?? 0) + Math.ceil(elapsed / 1_000) };
    }
    if (this.#beganAt !== null) {
      // Nothing came since it was served: what is stored later than that is due, and what may come late.
      const late = this.needs.mode === "every" ? lateMs : 0;
      const whole = clock.now() - this.#beganAt;
      return { kind: "back", seconds: Math.ceil(Math.min(elapsed + late, whole) / 1_000) + 1 };
    }
    return { kind: "now" };
  }

  /** Where it would resume with one device out of all. */
  startOf(deviceId: string): Start {
    const owed = this.#owed.isDue(deviceId) ? this.#owed.startOf(deviceId) : null;
    const floor = this.isContinuous ? this.#windows.floorOf(deviceId) : null;
    if (owed !== null || floor === null) {
      return owed ?? this.#owed.startOf(deviceId) ?? this.start();
    }
    return { kind: "after", instant: floor };
  }

  /** A subscribe is on its way that serves it from `start`; `limit` where others made that one begin earlier. */
  begin(start: Start, limit: string | null): void {
    this.#state = "asked";
    this.#wasAsked = true;
    this.#windows.ask(start, limit);
  }

  /** Whether the device's own subscription has to be asked for what is due to this one, once it can take that. */
  isOwed(deviceId: string): boolean {
    return this.#owed.isDue(deviceId);
  }

  /** What is due of the device has to come from its own subscription. */
  owe(deviceId: string): void {
    this.#owed.owe(deviceId, this.startOf(deviceId));
  }

  /** The device's own subscription is gone, and what it did not bring has to come from the one to all. */
  reclaim(deviceId: string, serverNow: number): void {
    const owed = this.#owed.startOf(deviceId);
    if (owed === null) return;
    this.#owed.came(deviceId);
    this.#windows.widen(earliest([this.start(), owed], serverNow));
  }

  /** History of one device is on its way because of somebody else's subscribe; `start` and `limit` as for its own. */
  hold(deviceId: string, start: Start, limit: string | null): void {
    this.#owed.coming(deviceId, start);
    this.#windows.hold(deviceId, limit);
  }

  /**
   * The subscribe was answered; the history of these devices comes first, for each before it is live. Null where which
   * devices there are could not be found out.
   */
  answered(devices: ReadonlySet<string> | null): void {
    if (this.#state !== "asked") return;
    this.#state = "live";
    this.#windows.answered(devices);
  }

  /** All that was due is here. */
  filled({ hadHistory }: { readonly hadHistory: boolean }): void {
    if (this.#state !== "live") return;
    const { clock, history } = this.#options;
    const now = clock.now();
    this.#beganAt ??= history === null
      ? now
      : history.seconds === null
      ? Number.NEGATIVE_INFINITY
      : this.#since - history.seconds * 1_000;
    this.#isFilled = true;
    this.#windows.filled();
    this.#since = now;
    if (hadHistory) this.#options.caughtUp();
  }

  /** The history of one device was sent. */
  release(deviceId: string, { isCompanion }: { readonly isCompanion: boolean }): void {
    // Who did not take all of it is still due the rest.
    if (!this.#takes(deviceId, isCompanion)) return;
    this.#windows.release(deviceId);
    if (isCompanion) this.#owed.came(deviceId);
  }

  /** What was asked for is not given. */
  abandon(): void {
    if (this.#state === "asked") this.#state = "due";
  }

  /** What it has ends here, and it is due what comes after. */
  fallBehind(): void {
    if (this.#state !== "paused" && this.#state !== "left") this.#state = "due";
  }

  /** It is not asked for again on this connection. */
  refuse(error: PulsewireError): void {
    if (this.#state === "left") return;
    this.#state = "refused";
    this.#options.fail(error);
  }

  /** It can take more again. */
  resume(): void {
    if (this.#state === "paused") this.#state = "due";
  }

  leave(): void {
    this.#state = "left";
    this.#owed.clear();
    this.#windows.clear();
  }

  gap(gap: Gap): void {
    if (this.#state === "asked" || this.#state === "live") this.#options.gap(gap);
  }

  /** A stored sample of a page; `isCompanion` where somebody else's subscribe brings it. */
  history(
    deviceId: string,
    sample: Sample,
    { readAt, isCompanion }: { readonly readAt: string | null; readonly isCompanion: boolean },
  ): void {
    if (!this.#takes(deviceId, isCompanion)) return;
    const window = this.#windows.of(deviceId);
    if (window.has(sample.timestamp)) return;
    this.#give(deviceId, sample, { window, readAt, origin: "history", isCompanion });
  }

  /** A sample that was pushed; `isOneOfMany` where others need every sample and this one need not be the newest. */
  live(
    deviceId: string,
    sample: Sample,
    { readAt, isOneOfMany, isCompanion = false }: {
      readonly readAt: string | null;
      readonly isOneOfMany: boolean;
      readonly isCompanion?: boolean;
    },
  ): void {
    if (!this.#takes(deviceId, isCompanion)) return;
    const window = this.#windows.open(deviceId);
    if (this.needs.mode === "every") {
      if (window.has(sample.timestamp)) return;
    } else {
      const isLate = window.greatest !== null && sample.timestamp < window.greatest;
      if (isOneOfMany && isLate) return;
      const isRepeat = !isOneOfMany && !this.needs.changesOnly;
      if (!isRepeat && isSameSample(window.last, projectSample(sample, this.needs.metrics))) return;
    }
    this.#give(deviceId, sample, { window, readAt, origin: "live", isCompanion });
  }

  /** What a device's own subscription brings does not wait for the answer of the one to all. */
  #takes(deviceId: string, isCompanion: boolean): boolean {
    if (!isCompanion) return this.#state === "live";
    // What comes to all will not bring it.
    if (this.#state === "paused") this.owe(deviceId);
    const isTaking = this.#state === "live" || this.#state === "due" || this.#state === "asked";
    return isTaking && !this.#owed.isDue(deviceId);
  }

  #give(
    deviceId: string,
    sample: Sample,
    { window, readAt, origin, isCompanion }: {
      readonly window: SampleWindow;
      readonly readAt: string | null;
      readonly origin: DeviceSample["origin"];
      readonly isCompanion: boolean;
    },
  ): void {
    const { timestamp } = sample;
    const projected = projectSample(sample, this.needs.metrics);
    if (projected !== null) {
      const { metrics } = projected;
      if (!this.#options.take({ device_id: deviceId, timestamp, metrics, origin })) {
        this.#state = "paused";
        this.#stoppedAt = deviceId;
        if (isCompanion) this.owe(deviceId);
        return;
      }
      window.last = projected;
    }
    // One device's samples say nothing of the others, which are asked for later.
    if (isCompanion && this.#state === "due") this.#windows.keep(this.start());
    window.note(timestamp, readAt);
    if (origin === "history") this.#windows.begun(deviceId);
  }
}
