// Gives what a subscription is pushed to those who listen: each sample to who wants every one, and of many the newest to who
// wants no more. It asks for nothing.
import type { Sample } from "../protocol/server_messages.ts";
import type { Follower } from "./follower.ts";
import { type Newest, NewestSamples } from "./newest_samples.ts";

/** A sample that was pushed. */
export interface Push {
  readonly sample: Sample;
  /** When it was read; null where the service does not say. */
  readonly readAt: string | null;
  /** Whether every stored sample of the device is pushed, and not only the newest. */
  readonly isEvery: boolean;
  /** Whether a device's own subscription brings it to who listens to all. */
  readonly isCompanion: boolean;
}

export class PushFan {
  readonly newest = new NewestSamples();
  readonly #followers: ReadonlySet<Follower>;
  /** In mode every: the newest sample of this frame, for those who want only that. */
  readonly #ofFrame = new Map<string, Newest>();

  constructor(followers: ReadonlySet<Follower>) {
    this.#followers = followers;
  }

  /** A push; where only the newest is wanted of many, it waits for the end of the frame. */
  live(deviceId: string, { sample, readAt, isEvery, isCompanion }: Push): void {
    const newest = { sample, readAt, isCompanion };
    if (this.newest.note(deviceId, newest) && isEvery) this.#ofFrame.set(deviceId, newest);
    for (const follower of [...this.#followers]) {
      if (!isEvery || follower.needs.mode === "every") {
        follower.live(deviceId, sample, { readAt, isOneOfMany: isEvery, isCompanion });
      }
    }
  }

  /** The frame is read. */
  frameEnd(): void {
    for (const [deviceId, { sample, readAt, isCompanion }] of this.#ofFrame) {
      for (const follower of [...this.#followers]) {
        if (follower.needs.mode === "latest") {
          follower.live(deviceId, sample, { readAt, isOneOfMany: true, isCompanion });
        }
      }
    }
    this.#ofFrame.clear();
  }

  /** A history has ended with the newest sample, which is not pushed to who wants no more than that. */
  show(deviceId: string, newest: Newest): void {
    this.newest.note(deviceId, newest);
    for (const follower of [...this.#followers]) {
      if (follower.isContinuous) continue;
      follower.live(deviceId, newest.sample, { ...newest, isOneOfMany: true });
    }
  }

  clear(): void {
    this.newest.clear();
    this.#ofFrame.clear();
  }
}
