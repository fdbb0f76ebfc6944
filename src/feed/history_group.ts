// The questions that are asked of one tenant's past at the same time, and the reads that answer them. Nobody waits for a
// read of what only others asked for longer than there is reason to, and nobody's leaving ends another's read.
import type { Clock } from "../clock.ts";
import { SourceError } from "../sources/source_error.ts";
import type { RangeResult } from "../sources/telemetry_source.ts";
import { DevicePages } from "./device_pages.ts";
import { HistoryError } from "./history_error.ts";
import { lowerBound } from "./history_window.ts";
import type { HistoryPage, HistoryQuestion } from "./seam.ts";

/** What one read is to bring. */
export interface GroupQuery {
  readonly deviceIds: readonly string[];
  /** Instant with nine digits; samples, and windows' starts, later than it are read, ascending. */
  readonly after: string;
  readonly maxSamples: number;
}

export interface GroupRead {
  /** Called once, when the read's turn has come. */
  readonly query: () => GroupQuery;
  readonly signal: AbortSignal;
}

export interface HistoryGroupOptions {
  readonly resolutionSeconds: number | null;
  readonly clock: Clock;
  /** Throws HistoryError, or SourceError where the source refuses the query. */
  readonly read: (read: GroupRead) => Promise<RangeResult>;
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

/** What one read is for. */
interface Part {
  readonly wishes: readonly Wish[];
  readonly query: GroupQuery;
  /** When it began, in milliseconds since the epoch. */
  readonly readAt: number;
}

interface Reading {
  readonly life: AbortController;
  /** Null until its turn has come. */
  part: Part | null;
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
  /** What is still to be read, the next first; null until the first read's turn has come. */
  #parts: (readonly Wish[])[] | null = null;
  #isolationReads = MAX_ISOLATION_READS;
  #questions = 0;
  #reading: Reading | null = null;

  constructor(options: HistoryGroupOptions) {
    this.#options = options;
  }

  /** How many were asked. */
  get questions(): number {
    return this.#questions;
  }

  /**
   * Resolves with a page of each device that could be read, once `run` has read them; rejects with HistoryError when
   * none could.
   */
  ask({ after, signal }: HistoryQuestion): Promise<ReadonlyMap<string, HistoryPage>> {
    this.#questions++;
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

  /**
   * Reads what was asked, the youngest first. Others may ask until the first read's turn has come: `began` is told of
   * that. Never rejects: a fault of ours reaches the askers.
   */
  async run(began: () => void): Promise<void> {
    try {
      while (this.#wishes.some(isWaiting)) await this.#readNext(began);
      began();
    } catch (error) {
      began();
      // What the source can't say now of some, it can't say of the others either.
      for (const wish of this.#wishes) giveUp(wish, error);
    }
  }

  /**
   * Reads from the lowest instant on. Who is not reached because others ask for so much before is read with fewer of
   * them, at last alone.
   */
  async #readNext(began: () => void): Promise<void> {
    const { clock, read } = this.#options;
    const reading: Reading = { life: new AbortController(), part: null };
    const query = (): GroupQuery => {
      began();
      reading.part = partOf(this.#takeWishes(), clock.now());
      return reading.part.query;
    };
    this.#reading = reading;
    try {
      const result = await read({ query, signal: reading.life.signal });
      if (reading.part !== null) this.#putBack(answer(reading.part, result));
    } catch (error) {
      if (reading.life.signal.aborted) return;
      if (!(error instanceof SourceError) || reading.part === null) throw error;
      this.#isolate(reading.part.wishes, error);
    } finally {
      this.#reading = null;
    }
  }

  /** Ends the read under way when the last who waits for it has gone. */
  #checkReading(): void {
    if (this.#reading === null) return;
    const { life, part } = this.#reading;
    if (!(part?.wishes ?? this.#wishes).some(isWaiting)) life.abort();
  }

  /** Those that the next read is for. */
  #takeWishes(): readonly Wish[] {
    this.#parts ??= byAge(this.#wishes, this.#options.clock.now())
      .flatMap((wishes) => [...parts(wishes)]);
    for (let part = this.#parts.shift(); part !== undefined; part = this.#parts.shift()) {
      const waiting = part.filter(isWaiting);
      if (waiting.length > 0) return waiting;
    }
    return [];
  }

  /** Lets those be read next, in two parts, that were not reached. */
  #putBack(wishes: readonly Wish[]): void {
    if (wishes.length === 0) return;
    const middle = Math.ceil(wishes.length / 2);
    this.#parts?.unshift(wishes.slice(0, middle), wishes.slice(middle));
  }

  /** Finds the devices by halves whose reads are refused. */
  #isolate(wishes: readonly Wish[], error: SourceError): void {
    const isAlone = wishes.every(({ deviceId }) => deviceId === wishes[0]?.deviceId);
    if (isAlone || this.#isolationReads-- <= 0) {
      const refusal = this.#options.refused(error);
      for (const wish of wishes) giveUp(wish, refusal);
      return;
    }
    this.#putBack([...wishes].sort((a, b) => a.deviceId < b.deviceId ? -1 : 1));
  }
}

function partOf(wishes: readonly Wish[], readAt: number): Part {
  const after = wishes.reduce(
    (lowest, wish) => wish.after < lowest ? wish.after : lowest,
    wishes[0]?.after ?? "",
  );
  const deviceIds = [...new Set(wishes.map(({ deviceId }) => deviceId))];
  const share = Math.floor(MAX_SAMPLES / deviceIds.length);
  const maxSamples = Math.min(MAX_DEVICE_SAMPLES, Math.max(MIN_DEVICE_SAMPLES, share));
  return { wishes, query: { deviceIds, after, maxSamples }, readAt };
}

/** Gives each wish its page and returns those that the read did not reach. */
function answer(
  { wishes, query: { after }, readAt }: Part,
  { samples, truncated }: RangeResult,
): readonly Wish[] {
  const pages = new Map<string, DevicePages>();
  return wishes.filter((wish) => {
    const { deviceId } = wish;
    let cuts = pages.get(deviceId);
    if (cuts === undefined) {
      const isLast = !truncated.has(deviceId);
      cuts = new DevicePages({ samples: samples.get(deviceId) ?? [], isLast, readAt });
      pages.set(deviceId, cuts);
    }
    const page = cuts.after(wish.after);
    if (page.samples.length === 0 && !page.isLast && wish.after > after) return true;
    give(wish, page);
    return false;
  });
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
