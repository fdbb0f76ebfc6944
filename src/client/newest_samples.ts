// The newest sample of each device that a subscription brought on this connection, for who comes later and for who wants
// no more than that. It must give nobody what it has already, and keep nobody from ever being reached.
import type { Sample } from "../protocol/server_messages.ts";
import type { Follower } from "./follower.ts";

export interface Newest {
  readonly sample: Sample;
  /** When it was read; null where the service does not say. */
  readonly readAt: string | null;
  /** Whether a device's own subscription brought it to who listens to all. */
  readonly isCompanion: boolean;
}

export class NewestSamples {
  readonly #known = new Map<string, Newest>();

  of(deviceId: string): Newest | null {
    return this.#known.get(deviceId) ?? null;
  }

  /** Whether it is the newest one. */
  note(deviceId: string, newest: Newest): boolean {
    const known = this.#known.get(deviceId);
    if (known !== undefined && known.sample.timestamp > newest.sample.timestamp) return false;
    this.#known.set(deviceId, newest);
    return true;
  }

  /** Gives all of them, in turns where the listener can't take all at once. */
  replay(follower: Follower): void {
    const all = [...this.#known];
    const next = Math.max(0, all.findIndex(([deviceId]) => deviceId === follower.stoppedAt));
    for (const [deviceId, newest] of [...all.slice(next), ...all.slice(0, next)]) {
      if (follower.isPaused) return;
      follower.live(deviceId, newest.sample, { ...newest, isOneOfMany: true });
    }
  }

  clear(): void {
    this.#known.clear();
  }
}
