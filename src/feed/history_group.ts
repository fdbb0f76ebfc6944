// The questions that are asked of one tenant's past at the same time, and the reads that answer them. Nobody waits for a
// read of what only others asked for longer than there is reason to, and nobody's leaving ends another's read.
import type { Clock } from "../clock.ts";
import { SourceError } from "../sources/source_error.ts";
import type { RangeResult } from "../sources/telemetry_source.ts";
import { HistoryError } from "./history_error.ts";
import { lowerBound } from "./history_window.ts";
import type { HistoryPage, HistoryQuestion } from "./seam.ts";

export interface GroupRead {
  readonly deviceIds: readonly string[];
  /** Instant with nine digits; samples, and windows' starts, later than it are read, ascending. */
  readonly after: string;
  readonly maxSamples: number;
  readonly signal: AbortSignal;
}

export interface HistoryGroupOptions {
  readonly resolutionSeconds: number | null;
  readonly clock: Clock;
  /** Throws HistoryError, or SourceError where the source refuses the query. */
  readonly read: (query: GroupRead) => Promise<RangeResult>;
  /** What a device's askers are told whose read the source refuses. */
  readonly refused: (error: SourceError) => HistoryError;
}

/** What one question wants of one device. */
interface Wish {
  readonly asker: Asker;
  readonly deviceId: string;
  /** What is wanted is later than this. */
  readonly after: string;
  /** Neither answered nor given up. */
  isOpen: boolean;
}

interface Asker {
  readonly signal: AbortSignal;
  readonly pages: Map<string, HistoryPage>;
  /** Wishes that are open. */
  open: number;
  /** Ends the question when no wish is open any more; null where the last one was answered. */
  readonly settle: (error: unknown) => void;
}

/** Samples that one read brings, of all devices and of one. */
const MAX_SAMPLES = 20_000;
const MAX_DEVICE_SAMPLES = 1_000;
const MIN_DEVICE_SAMPLES = 20;
/** Questions that go back so many times as far as another are read apart from it. */
const MAX_AGE_RATIO = 4;
/** Below this ages do not differ enough to matter. */
const MIN_AGE_MS = 15_000;
/** Reads that one group may spend on finding the devices whose reads are refused. */
const MAX_ISOLATION_READS = 32;

export class HistoryGroup {
  readonly #options: HistoryGroupOptions;
  readonly #wishes: Wish[] = [];
  #isolationReads = MAX_ISOLATION_READS;
  /** Ends the read under way when the last who waits for it has gone. */
  #checkReading = () => {};

  constructor(options: HistoryGroupOptions) {
    this.#options = options;
  }

  /**
   * Resolves with a page of each device that could be read, once `run` has read them; rejects with HistoryError when
   * none could.
   */
  ask({ after, signal }: HistoryQuestion): Promise<ReadonlyMap<string, HistoryPage>> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        reject(signal.reason);
        this.#checkReading();
      };
      const pages = new Map<string, HistoryPage>();
      const asker: Asker = {
        signal,
        pages,
        open: after.size,
        settle: (error) => {
          signal.removeEventListener("abort", leave);
          const isPartial = pages.size > 0 && error instanceof HistoryError;
          if (error === null || isPartial) resolve(pages);
          else reject(error);
        },
      };
      signal.addEventListener("abort", leave, { once: true });
      for (const [deviceId, instant] of after) {
        const bound = lowerBound(instant, this.#options.resolutionSeconds);
        this.#wishes.push({ asker, deviceId, after: bound, isOpen: true });
      }
    });
  }

  /** Reads what was asked, the youngest first. Never rejects: a fault of ours reaches the askers. */
  async run(): Promise<void> {
    const ages = byAge(this.#wishes, this.#options.clock.now());
    for (const [index, wishes] of ages.entries()) {
      try {
        for (const part of parts(wishes)) await this.#serve(part);
      } catch (error) {
        // What the source can't say now of some, it can't say of the others either.
        for (const wish of ages.slice(index).flat()) giveUp(wish, error);
        return;
      }
    }
  }

  /**
   * Reads from the lowest instant on. Who is not reached because others ask for so much before is read with fewer of
   * them, at last alone.
   */
  async #serve(wishes: readonly Wish[]): Promise<void> {
    const wanted = wishes.filter(isWaiting);
    if (wanted.length === 0) return;
    let left: readonly Wish[];
    try {
      left = await this.#read(wanted);
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      const isAlone = wanted.every(({ deviceId }) => deviceId === wanted[0]?.deviceId);
      if (isAlone || this.#isolationReads-- <= 0) {
        const refusal = this.#options.refused(error);
        for (const wish of wanted) giveUp(wish, refusal);
        return;
      }
      left = [...wanted].sort((a, b) => a.deviceId < b.deviceId ? -1 : 1);
    }
    if (left.length === 0) return;
    const middle = Math.ceil(left.length / 2);
    await this.#serve(left.slice(0, middle));
    await this.#serve(left.slice(middle));
  }

  /** Returns the wishes that the read did not reach. */
  async #read(wishes: readonly Wish[]): Promise<readonly Wish[]> {
    const { clock, read } = this.#options;
    const after = wishes.reduce(
      (lowest, wish) => wish.after < lowest ? wish.after : lowest,
      wishes[0]?.after ?? "",
    );
    const deviceIds = [...new Set(wishes.map(({ deviceId }) => deviceId))];
    const share = Math.floor(MAX_SAMPLES / deviceIds.length);
    const maxSamples = Math.min(MAX_DEVICE_SAMPLES, Math.max(MIN_DEVICE_SAMPLES, share));
    const life = new AbortController();
    this.#checkReading = () => {
      if (!wishes.some(isWaiting)) life.abort();
    };
    const readAt = clock.now();
    try {
      const { samples, truncated } = await read({
        deviceIds,
        after,
        maxSamples,
        signal: life.signal,
      });
      return wishes.filter((wish) => {
        const { deviceId } = wish;
        const isLast = !truncated.has(deviceId);
        const later = samples.get(deviceId)?.filter(({ timestamp }) => timestamp > wish.after) ??
          [];
        if (later.length === 0 && !isLast && wish.after > after) return true;
        give(wish, { samples: later, isLast, readAt });
        return false;
      });
    } catch (error) {
      if (life.signal.aborted) return [];
      throw error;
    } finally {
      this.#checkReading = () => {};
    }
  }
}

function isWaiting({ asker, isOpen }: Wish): boolean {
  return isOpen && !asker.signal.aborted;
}

function give(wish: Wish, page: HistoryPage): void {
  wish.asker.pages.set(wish.deviceId, page);
  close(wish, null);
}

function giveUp(wish: Wish, error: unknown): void {
  if (wish.isOpen) close(wish, error);
}

function close(wish: Wish, error: unknown): void {
  wish.isOpen = false;
  if (--wish.asker.open === 0) wish.asker.settle(error);
}

/** Wishes whose ages are alike, the youngest first. */
function byAge(wishes: readonly Wish[], now: number): readonly (readonly Wish[])[] {
  const aged = wishes.map((wish) => ({ wish, ageMs: ageOf(wish, now) }))
    .sort((a, b) => a.ageMs - b.ageMs);
  const ages: Wish[][] = [];
  let youngestMs = 0;
  for (const { wish, ageMs } of aged) {
    if (ageMs > youngestMs * MAX_AGE_RATIO) {
      youngestMs = ageMs;
      ages.push([]);
    }
    ages.at(-1)?.push(wish);
  }
  return ages;
}

function ageOf({ after }: Wish, now: number): number {
  return Math.max(MIN_AGE_MS, now - Date.parse(`${after.slice(0, 23)}Z`));
}

/** As many devices as one read bears; those of like ages stay together. */
function* parts(wishes: readonly Wish[]): Generator<readonly Wish[]> {
  let part: Wish[] = [];
  let devices = new Set<string>();
  for (const wish of wishes) {
    if (devices.size === MAX_SAMPLES / MIN_DEVICE_SAMPLES && !devices.has(wish.deviceId)) {
      yield part;
      part = [];
      devices = new Set();
    }
    part.push(wish);
    devices.add(wish.deviceId);
  }
  if (part.length > 0) yield part;
}
