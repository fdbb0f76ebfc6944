// One worker as the keeper sees it: a thread that is started, asked, watched and told to leave. What it holds of the whole
// service is given back as soon as it is gone, however it went.
import { Worker } from "node:worker_threads";
import type { FetchedKeys } from "../auth/key_set.ts";
import { type Clock, delay, waitFor } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import type { MetricFamilies } from "../observe/merged_metrics.ts";
import { Link } from "./link.ts";
import type { KeeperQuestions, WorkerQuestions, WorkerUsage } from "./questions.ts";
import type { SnapshotParcel } from "./snapshot_parcel.ts";
import type { WorkerPlace } from "./worker_place.ts";

export interface WorkerThreadOptions<Start> {
  /** From 1; a thread that takes another's place has its number. */
  readonly number: number;
  readonly entry: URL;
  readonly start: Start;
  /** Makes its place, which is sent snapshots in this way. */
  readonly place: (deliver: (parcel: SnapshotParcel) => void) => WorkerPlace;
  /** One that has not answered for this long is stuck; STUCK_MS where nothing is said. */
  readonly stuckMs?: number;
  readonly clock: Clock;
  readonly log: Log;
}

const PING_MS = 1_000;
/** Longer than any pause that a busy thread makes. */
const STUCK_MS = 15_000;
/** A scrape waits no longer for a thread that is busy; it is shown what the thread said last. */
const METRICS_WAIT_MS = 1_000;

export class WorkerThread<Start> {
  readonly number: number;
  /** Resolves with the thread's exit code. */
  readonly ended: Promise<number>;
  readonly #options: WorkerThreadOptions<Start>;
  readonly #thread: Worker;
  readonly #link: Link<WorkerQuestions<Start>, KeeperQuestions>;
  readonly #life = new AbortController();
  #isOpen = false;
  #isStuck = false;
  #lastMetrics: MetricFamilies = [];

  constructor(options: WorkerThreadOptions<Start>) {
    this.#options = options;
    const { entry, log, number, place } = options;
    this.number = number;
    this.#thread = new Worker(entry);
    const held = place((parcel) => this.#link.tell("takeSnapshot", parcel));
    this.#link = new Link({
      answers: held.answers,
      send: (text) => this.#thread.postMessage(text),
      failed: (error) => log.error("worker_message_failed", { worker: number, error }),
    });
    this.#thread.on("message", (text) => this.#link.receive(text));
    this.#thread.on("error", (error) => log.error("worker_failed", { worker: number, error }));
    this.ended = new Promise((resolve) =>
      this.#thread.once("exit", (code) => {
        this.#isOpen = false;
        this.#life.abort();
        this.#link.close(new Error(`Worker ${number} has ended`));
        held.vacate();
        resolve(code);
      })
    );
  }

  /** Whether it takes clients. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether it has not answered for longer than it may. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  /** What it said last of its numbers. */
  get lastMetrics(): MetricFamilies {
    return this.#lastMetrics;
  }

  /** Resolves when it takes clients; rejects when it can't, or ends. */
  async open(): Promise<void> {
    await this.#link.ask("start", this.#options.start);
    this.#isOpen = true;
    void this.#watch();
  }

  /** Hands it the issuer's keys, also before it is open. */
  takeKeys(keys: FetchedKeys): void {
    this.#link.tell("takeKeys", keys);
  }

  usageOf(tenantId: string, signal?: AbortSignal): Promise<WorkerUsage> {
    return this.#link.ask("usageOf", tenantId, signal);
  }

  async metrics(): Promise<MetricFamilies> {
    const waited = new AbortController();
    const asked = this.#link.ask("metrics", null, waited.signal)
      .then((families) => this.#lastMetrics = families)
      // One that ends meanwhile has said what it has said.
      .catch(() => {});
    await waitFor(asked, { atMostMs: METRICS_WAIT_MS, clock: this.#options.clock });
    waited.abort();
    return this.#lastMetrics;
  }

  /** Lets its clients go in time; resolves when they are gone, or the thread is. */
  async leave(withinMs: number): Promise<void> {
    await Promise.race([this.#link.ask("leave", { withinMs }), this.ended]).catch((error) => {
      if (!this.#life.signal.aborted) throw error;
    });
  }

  /** Ends it at once, and its sockets with it; one that is stuck only lets go of them when it comes back. */
  async terminate(): Promise<void> {
    await this.#thread.terminate();
    await this.ended;
  }

  /** A thread that has stopped answering holds the sockets of clients that nobody serves, and can't be ended alone. */
  async #watch(): Promise<void> {
    const { clock, log, stuckMs = STUCK_MS } = this.#options;
    const { signal } = this.#life;
    for (;;) {
      await delay(clock, PING_MS, signal);
      if (signal.aborted) return;
      const askedAt = clock.monotonicNow();
      const answered = this.#link.ask("ping", null).catch(() => null);
      const waited = new AbortController();
      const late = delay(clock, stuckMs, waited.signal).then(() => {
        this.#isStuck = !waited.signal.aborted;
        if (this.#isStuck) log.error("worker_stuck", { worker: this.number, silent_ms: stuckMs });
      });
      await answered;
      waited.abort();
      await late;
      if (!this.#isStuck) continue;
      this.#isStuck = false;
      const silentMs = Math.round(clock.monotonicNow() - askedAt);
      if (!signal.aborted) log.info("worker_answers", { worker: this.number, silent_ms: silentMs });
    }
  }
}
