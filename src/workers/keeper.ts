// Keeps the workers of a service: starts them, starts those that end again, and speaks for all of them where the whole
// service is asked. It holds no socket, and what is shared it only hands on.
import type { OwnBack } from "../back.ts";
import { type Clock, delay, waitFor } from "../clock.ts";
import { Readiness } from "../http/readiness.ts";
import type { FeedState } from "../http/stream_status.ts";
import { type Log, writeLine } from "../observe/log.ts";
import { mergedCounts, mergedText, type MetricFamilies } from "../observe/merged_metrics.ts";
import type { MetricsText } from "../http/metrics_page.ts";
import type { PrometheusMetrics } from "../observe/prometheus_metrics.ts";
import type { Answers } from "./link.ts";
import type { WorkerUsage } from "./questions.ts";
import { SharedFeeds } from "./shared_feeds.ts";
import { type StandingQuestions, WorkerPlace } from "./worker_place.ts";
import { WorkerThread } from "./worker_thread.ts";

export interface KeeperOptions<Start> {
  readonly count: number;
  readonly entry: URL;
  /** What the worker of this number begins with. */
  readonly startOf: (number: number) => Start;
  readonly back: OwnBack;
  readonly feedStateOf: (tenantId: string) => FeedState | undefined;
  /** The keeper's own numbers. */
  readonly metrics: PrometheusMetrics;
  readonly pollIntervalMs: number;
  /** A worker that has not answered for this long is stuck. */
  readonly stuckMs?: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** A worker that ends is started again after this long, and after twice as long each time that it ends soon. */
const RETRY_MS = 250;
const RETRY_MAX_MS = 30_000;
/** One that has lived this long ended for a reason of its own. */
const STEADY_MS = 60_000;
/** Beyond the time that workers have to leave; one that hangs is ended without it. */
const LEAVE_SLACK_MS = 2_000;
/** Who asks what a tenant has open waits no longer for a worker that is busy. */
const USAGE_WAIT_MS = 1_000;

export class Keeper<Start> implements MetricsText {
  readonly readiness: Readiness;
  readonly contentType: string;
  readonly #options: KeeperOptions<Start>;
  readonly #feeds: SharedFeeds;
  readonly #threads = new Map<number, WorkerThread<Start>>();
  readonly #stopped = new AbortController();
  /** What workers that have ended counted: a sum must never fall. */
  #departed: MetricFamilies = [];
  #isLeaving = false;

  constructor(options: KeeperOptions<Start>) {
    this.#options = options;
    const { back, clock, log, metrics, pollIntervalMs } = options;
    const { keySet, sources, stopped: signal } = back;
    this.contentType = metrics.contentType;
    this.#feeds = new SharedFeeds({ feeds: back.feeds, clock, pollIntervalMs });
    keySet?.listen((keys) => {
      for (const thread of this.threads) thread.takeKeys(keys);
    });
    this.readiness = new Readiness({
      states: () => sources.state(),
      check: (signal) => sources.check(signal),
      keys: {
        isReached: () => keySet === null || keySet.state.reached,
        reach: async () => await keySet?.reach(),
      },
      isDraining: () => this.#isLeaving,
      clock,
      log,
      signal,
    });
  }

  /** Those that run or are being started. */
  get threads(): readonly WorkerThread<Start>[] {
    return [...this.#threads.values()];
  }

  /** Whether every worker answers: only the end of the process frees the clients of one that is stuck. */
  get isAlive(): boolean {
    return !this.threads.some(({ isStuck }) => isStuck);
  }

  /** Starts all workers; rejects, and ends those that were started, when one can't begin. */
  async open(): Promise<void> {
    const { count } = this.#options;
    const threads = Array.from({ length: count }, (_, index) => this.#start(index + 1));
    try {
      await Promise.all(threads.map((thread) => thread.open()));
    } catch (error) {
      this.#isLeaving = true;
      await Promise.all(threads.map((thread) => thread.terminate()));
      throw error;
    }
    for (const thread of threads) void this.#keep(thread);
  }

  /** What the tenant has open in all workers that answer. */
  async usageOf(tenantId: string): Promise<WorkerUsage> {
    const waited = new AbortController();
    const asked = Promise.all(
      this.#open().map((thread) =>
        // The clients of one that ends meanwhile are gone.
        thread.usageOf(tenantId, waited.signal).catch(() => null)
      ),
    );
    await waitFor(asked, { atMostMs: USAGE_WAIT_MS, clock: this.#options.clock });
    waited.abort();
    const usages = (await asked).filter((usage) => usage !== null);
    return usages.reduce(sumOf, {
      connections: { websocket: 0, events: 0 },
      subscriptions: { device: 0, all_devices: 0, alerts: 0, fleet: 0 },
      mostDevices: 0,
    });
  }

  async text(): Promise<string> {
    // Those of one that ends while others are waited for stand among theirs.
    const departed = this.#departed;
    const [own, ...theirs] = await Promise.all([
      this.#options.metrics.families(),
      ...this.#open().map((thread) => thread.metrics()),
    ]);
    return await mergedText([own, departed, ...theirs]);
  }

  /** Lets all workers' clients go, and ends the workers. */
  async leave(withinMs: number): Promise<void> {
    this.#isLeaving = true;
    const { clock, log } = this.#options;
    // One that is only being started would take clients whom nobody told that all are leaving.
    for (const thread of this.threads) if (!thread.isOpen) void thread.terminate();
    const left = this.#open().map((thread) =>
      thread.leave(withinMs).catch((error) =>
        log.error("worker_failed", { worker: thread.number, error })
      )
    );
    await waitFor(Promise.all(left), { atMostMs: withinMs + LEAVE_SLACK_MS, clock });
    this.#stopped.abort();
    await Promise.all(this.threads.map((thread) => thread.terminate()));
  }

  #open(): readonly WorkerThread<Start>[] {
    return this.threads.filter(({ isOpen }) => isOpen);
  }

  #start(number: number): WorkerThread<Start> {
    const { back, clock, entry, log, startOf, stuckMs } = this.#options;
    const thread = new WorkerThread<Start>({
      number,
      entry,
      start: startOf(number),
      place: (deliver) =>
        new WorkerPlace({ back, member: this.#feeds.join(deliver), standing: this.#standing() }),
      ...(stuckMs === undefined ? {} : { stuckMs }),
      clock,
      log,
    });
    this.#threads.set(number, thread);
    const keys = back.keySet?.keys ?? null;
    if (keys !== null) thread.takeKeys(keys);
    return thread;
  }

  /** Starts a worker again whenever it ends, until the service does. */
  async #keep(thread: WorkerThread<Start>): Promise<void> {
    const { clock, log } = this.#options;
    const { number } = thread;
    for (let fails = 0;;) {
      const openedAt = clock.monotonicNow();
      const code = await thread.ended;
      this.#threads.delete(number);
      this.#departed = await mergedCounts([this.#departed, thread.lastMetrics]);
      if (this.#isLeaving) return;
      fails = clock.monotonicNow() - openedAt < STEADY_MS ? fails + 1 : 1;
      const restartMs = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** (fails - 1));
      log.error("worker_ended", { worker: number, code, restart_in_ms: restartMs });
      await delay(clock, restartMs, this.#stopped.signal);
      if (this.#isLeaving) return;
      thread = this.#start(number);
      try {
        await thread.open();
        log.info("worker_restarted", { worker: number });
      } catch (error) {
        if (this.#isLeaving) return;
        log.error("worker_failed", { worker: number, error });
        await thread.terminate();
      }
    }
  }

  #standing(): Answers<StandingQuestions> {
    const { feedStateOf } = this.#options;
    return {
      tenantUsage: (tenantId) => this.usageOf(tenantId),
      feedState: (tenantId) => feedStateOf(tenantId) ?? null,
      readiness: () => this.readiness.report(),
      metricsText: () => this.text(),
      alive: () => this.isAlive,
      log: ({ level, line }) => writeLine(level, line),
    };
  }
}

function sumOf(one: WorkerUsage, other: WorkerUsage): WorkerUsage {
  const sum = <Key extends string>(a: Readonly<Record<Key, number>>, b: typeof a) =>
    Object.fromEntries(
      Object.entries<number>(a).map(([key, count]) => [key, count + (b[key as Key] ?? 0)]),
    ) as Record<Key, number>;
  return {
    connections: sum(one.connections, other.connections),
    subscriptions: sum(one.subscriptions, other.subscriptions),
    mostDevices: Math.max(one.mostDevices, other.mostDevices),
  };
}
