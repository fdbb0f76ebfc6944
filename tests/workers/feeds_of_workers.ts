// The feeds as several workers see them, in one thread: everything that passes is made into text and back, and what comes
// down comes a moment later, as from another thread.
import type { Clock } from "../../src/clock.ts";
import type { Feeds } from "../../src/feed/feed_registry.ts";
import { RemoteFeeds } from "../../src/workers/remote_feeds.ts";
import {
  type Member,
  SharedFeeds,
  type SharedFeedsOptions,
} from "../../src/workers/shared_feeds.ts";

export interface WorkerFeeds {
  readonly feeds: Feeds;
  /** Its part in the feeds, as the keeper has it. */
  readonly member: Member;
  /** Snapshots that came down, as text. */
  readonly texts: readonly string[];
}

export function feedsOfWorkers(
  { feeds, count, clock, pollIntervalMs }: {
    readonly feeds: SharedFeedsOptions["feeds"];
    readonly count: number;
    readonly clock: Clock;
    readonly pollIntervalMs: number;
  },
): readonly WorkerFeeds[] {
  const shared = new SharedFeeds({ feeds, clock, pollIntervalMs });
  return Array.from({ length: count }, () => {
    const texts: string[] = [];
    const remote: RemoteFeeds = new RemoteFeeds((change) => member.change(copyOf(change)));
    const member = shared.join((parcel) => {
      const text = JSON.stringify(parcel);
      texts.push(text);
      queueMicrotask(() => remote.take(JSON.parse(text)));
    });
    return { feeds: remote, member, texts };
  });
}

function copyOf<Data>(data: Data): Data {
  return JSON.parse(JSON.stringify(data));
}
