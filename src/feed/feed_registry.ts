// Starts a tenant's feed with its first connection and stops it a little after its last; nobody else makes feeds.
import type { TimerHandle } from "../clock.ts";
import type { InterestChange, Snapshot } from "./seam.ts";
import { type FeedOptions, TenantFeed } from "./tenant_feed.ts";

export interface FeedRegistryOptions extends FeedOptions {
  /** How long a feed outlives its last connection: a page that reloads finds its values still warm. */
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

  change(change: InterestChange): void {
    const running = this.#feeds.get(change.tenantId) ?? this.#start(change.tenantId);
    running.feed.change(change);
    const { clock, lingerMs } = this.#options;
    if (running.feed.interest.connections > 0) {
      if (running.endTimer !== null) clock.clearTimeout(running.endTimer);
      running.endTimer = null;
    } else {
      running.endTimer ??= clock.setTimeout(() => this.#end(change.tenantId), lingerMs);
    }
  }

  [Symbol.dispose](): void {
    for (const tenantId of [...this.#feeds.keys()]) this.#end(tenantId);
  }

  #start(tenantId: string): Running {
    const feed = new TenantFeed(tenantId, {
      ...this.#options,
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
