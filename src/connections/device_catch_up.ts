// One device on its way from the past to the present: what to ask for next, what of an answer was not sent yet, and when
// the batches of the feed take over. It reads nothing and sends nothing.
import type { HistoryPage } from "../feed/seam.ts";
import { instantOfNanos, nanosOf } from "../protocol/nano_instant.ts";
import type { Resume, Sample } from "../protocol/server_messages.ts";
import type { BatchPlace, EveryFollow } from "./every_follow.ts";

export interface DeviceCatchUpOptions {
  readonly deviceId: string;
  /** Null in mode `latest`. */
  readonly follow: EveryFollow | null;
  readonly resolutionSeconds: number | null;
  /** Instant with nine digits that was asked for. */
  readonly after: string;
  /** Instant with nine digits: now. */
  readonly startedAt: string;
  /** Where it really starts. */
  readonly resume: Resume;
  /** Timestamps later than that which were sent already. */
  readonly sent?: ReadonlySet<string>;
}

/** What one page brought. */
export interface TakenPage {
  /** Ascending; none that was sent before. The page's own list where it holds nothing else. */
  readonly samples: readonly Sample[];
  /** Whether the present is reached: what is later is in the batches, or pushed. */
  readonly isDone: boolean;
}

export class DeviceCatchUp {
  readonly deviceId: string;
  /** What the client is told of where it starts. */
  resume: Resume;
  /** Whether it is known that the history is not too long. */
  isMeasured = false;
  /** Attempts that failed since the last one that did not. */
  failures = 0;
  /** Not asked for before this time, on the monotonic clock. */
  notBefore = 0;
  readonly #options: DeviceCatchUpOptions;
  readonly #follow: EveryFollow | null;
  /** Samples as old as this or older are never sent. */
  #base: string;
  #position: string;
  /** The newest batch when the page that is awaited was asked for. */
  #noted: BatchPlace | null = null;
  /** The newest batch before anything was read that later batches can hold; null while nothing was. */
  #anchor: BatchPlace | null = null;
  /** Timestamps that were sent and are later than any place to which this may have to go back. */
  #sent: ReadonlySet<string>;
  #cursor: string | null;
  #last: string | null = null;

  constructor(options: DeviceCatchUpOptions) {
    const { deviceId, resume, follow, sent = new Set() } = options;
    this.deviceId = deviceId;
    this.resume = resume;
    this.#options = options;
    this.#follow = follow;
    this.#position = resume.from;
    this.#base = this.#baseOf(resume.from);
    this.#sent = sent;
    this.#cursor = follow?.cursor ?? null;
  }

  /** What the next page is asked after. */
  get position(): string {
    return this.#position;
  }

  /** Greatest timestamp of the samples that were sent; null where none was, or only windows were. */
  get last(): string | null {
    return this.#last;
  }

  /**
   * Whether pages may be sent. Before the feed has read the device nobody knows which samples its batches will hold, and
   * so none is sent that could come twice.
   */
  get isReady(): boolean {
    return this.#follow === null || this.#follow.newest() !== null;
  }

  /** Leaves out the samples until then: they are too many. */
  startAfter(instant: string): void {
    const { after } = this.#options;
    const { from, complete } = this.resume;
    const isOldWorse = !complete &&
      nanosOf(from) - nanosOf(after) > nanosOf(instant) - nanosOf(from);
    const reason = isOldWorse ? "too_old" : "too_many";
    this.resume = { from: instant, complete: false, reason };
    this.#position = instant;
    this.#base = this.#baseOf(instant);
  }

  /** Notes that a page is asked for now; returns whether it may be sent when it comes. */
  begin(): boolean {
    this.#noted = this.#follow?.newest() ?? null;
    return this.isReady;
  }

  /** Takes the page that was asked for and says what to send of it. */
  take({ samples, isLast }: HistoryPage): TakenPage {
    const { resolutionSeconds } = this.#options;
    const newest = samples.at(-1)?.timestamp ?? this.#position;
    this.#anchor ??= this.#noted;
    if (resolutionSeconds !== null) {
      if (samples.length > 0) this.#position = after(newest, resolutionSeconds);
      // Windows that late samples may have changed come again where this has to go back, and live samples that lie in
      // the last one follow it.
      const back = this.#restart();
      return { samples, isDone: this.#settle({ isLast, restart: back < newest ? back : newest }) };
    }
    this.#position = newest;
    const sent = this.#sent;
    const unsent = sent.size === 0
      ? samples
      : samples.filter(({ timestamp }) => !sent.has(timestamp));
    const last = unsent.at(-1)?.timestamp ?? null;
    this.#last = later(this.#last, last);
    this.#cursor = later(this.#cursor, last);
    const restart = this.#restart();
    // Without batches it never goes back behind what was sent.
    if (this.#follow !== null) {
      this.#sent = new Set(
        [...sent, ...unsent.map(({ timestamp }) => timestamp)]
          .filter((timestamp) => timestamp > restart),
      );
    }
    return { samples: unsent, isDone: this.#settle({ isLast, restart }) };
  }

  /** Hands over to the batches. */
  join(): void {
    if (this.#follow === null || this.#anchor === null) return;
    this.#follow.join({
      place: this.#anchor,
      base: this.#base,
      sent: this.#sent,
      cursor: this.#cursor,
    });
  }

  /** Whether the batches take over; otherwise decides what is asked for next. */
  #settle({ isLast, restart }: { readonly isLast: boolean; readonly restart: string }): boolean {
    const anchor = this.#anchor;
    if (anchor === null || this.#follow === null) return isLast;
    if (!this.#follow.has(anchor.number)) {
      // Batches are gone that may hold what was stored behind this one's back: only the database has it now.
      this.#position = restart;
      this.#anchor = null;
      return false;
    }
    if (isLast) return true;
    // No later batch holds anything up to here: it is as if this began here.
    if (this.#position <= anchor.floor) this.#anchor = null;
    return false;
  }

  /** Later than this is whatever later batches hold, and whatever was not read. */
  #restart(): string {
    if (this.#anchor === null || this.#position < this.#anchor.floor) return this.#position;
    return this.#anchor.floor > this.#base ? this.#anchor.floor : this.#base;
  }

  /**
   * What a client has up to its cursor is not sent again when another process's feed finds it later. But a cursor ahead
   * of the clock must not silence a device whose clock is put right.
   */
  #baseOf(from: string): string {
    const { startedAt } = this.#options;
    return from < startedAt ? from : startedAt;
  }
}

function later(a: string | null, b: string | null): string | null {
  return a === null || (b !== null && b > a) ? b : a;
}

function after(start: string, resolutionSeconds: number): string {
  return instantOfNanos(nanosOf(start) + BigInt(resolutionSeconds) * 1_000_000_000n);
}
