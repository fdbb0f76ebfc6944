// Starts a tenant's feed with its first connection and stops it a little after its last; nobody else makes feeds.
import type { TimerHandle } from "../clock.ts";
import type { FeedUsage } from "../observe/metrics.ts";
import { firstTick } from "./first_tick.ts";
import type { Interest } from "./interest.ts";
import type { InterestChange, Snapshot } from "./seam.ts";
import { type FeedOptions, TenantFeed } from "./tenant_feed.ts";

export interface FeedRegistryOptions extends FeedOptions {
  /** How long a feed outlives its last connection: a page that reloads finds its phase and its pauses as they were. */
  readonly lingerMs: number;
}

interface Running {
  readonly feed: TenantFeed;
  endTimer: TimerHandle | null;
}

/** The feeds as connections see them: interest in, snapshots out. */
export interface Feeds {
  change(change: InterestChange): void;
  listen(listener: (snapshot: Snapshot) => void): void;
}

export class FeedRegistry implements Feeds, Disposable {
  readonly #options: FeedRegistryOptions;
  readonly #feeds = new Map<string, Running>();
  #listener: (snapshot: Snapshot) => void = () => {};
  #isDisposed = false;

  constructor(options: FeedRegistryOptions) {
    this.#options = options;
  }

  /** Number of feeds that run, those that linger included. */
  get feedCount(): number {
    return this.#feeds.size;
  }

  /** Names who gets the snapshots; the last one named gets them. */
  listen(listener: (snapshot: Snapshot) => void): void {
    this.#listener = listener;
  }

  /** Passes a change on to its tenant's feed. What connections still say after the end is not heard. */
  change(change: InterestChange): void {
    if (this.#isDisposed) return;
    const { tenantId } = change;
    let running = this.#feeds.get(tenantId);
    if (running === undefined) {
      if ((change.connections ?? 0) <= 0) {
        throw new RangeError(`Interest of tenant "${tenantId}" changed before it connected`);
      }
      running = this.#start(tenantId);
    }
    running.feed.change(change);
    const { clock, lingerMs } = this.#options;
    if (running.feed.interest.connections > 0) {
      if (running.endTimer !== null) clock.clearTimeout(running.endTimer);
      running.endTimer = null;
    } else {
      running.endTimer ??= clock.setTimeout(() => this.#end(tenantId), lingerMs);
    }
  }

  /** The database says that the tenant's alerts have changed; a tenant nobody follows is ignored. */
  alertsNotified(tenantId: string): void {
    this.#feeds.get(tenantId)?.feed.alertsNotified();
  }

  /** Notifications may have been missed: every tenant whose alerts are followed is read. */
  alertsMissed(): void {
    for (const { feed } of this.#feeds.values()) feed.alertsMissed();
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const tenantId of [...this.#feeds.keys()]) this.#end(tenantId);
  }

  /** What is counted of a tenant; undefined while no feed of it runs. */
  interestOf(tenantId: string): Interest | undefined {
    return this.#feeds.get(tenantId)?.feed.interest;
  }

  /** What each source is to the tenant; undefined while no feed of it runs. */
  statusesOf(tenantId: string): TenantFeed["statuses"] | undefined {
    return this.#feeds.get(tenantId)?.feed.statuses;
  }

  /** The greatest of all tenants' figures. */
  get usage(): FeedUsage {
    const greatest = {
      feeds: this.#feeds.size,
      snapshotAgeMs: { telemetry: 0, alerts: 0 },
      stretch: { telemetry: 1, alerts: 1 },
    };
    for (const { feed: { usage } } of this.#feeds.values()) {
      for (const figure of ["snapshotAgeMs", "stretch"] as const) {
        for (const source of ["telemetry", "alerts"] as const) {
          greatest[figure][source] = Math.max(greatest[figure][source], usage[figure][source]);
        }
      }
    }
    return greatest;
  }

  #start(tenantId: string): Running {
    const { clock, pollIntervalMs: intervalMs, random } = this.#options;
    const others = [...this.#feeds.values()].map(({ feed }) => feed.firstTickAt);
    const feed = new TenantFeed(tenantId, {
      ...this.#options,
      firstTickAt: firstTick({ now: clock.monotonicNow(), intervalMs, others, random }),
      deliver: (snapshot) => this.#listener(snapshot),
    });
    const running: Running = { feed, endTimer: null };
    this.#feeds.set(tenantId, running);
    return running;
  }

  #end(tenantId: string): void {
    const running = this.#feeds.get(tenantId);
    if (running === undefined) return;
    if (running.endTimer !== null) this.#options.clock.clearTimeout(running.endTimer);
    running.feed.stop();
    this.#feeds.delete(tenantId);
  }
}
