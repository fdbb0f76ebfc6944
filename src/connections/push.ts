// What one look at a connection's subscriptions found for it: frames in order, their size, and who must be told once
// they are sent. It sends nothing itself.
import { type Frame, frameBytes } from "../protocol/frame.ts";
import type { AlertSubscription } from "./alert_subscription.ts";
import type { DeviceSubscription } from "./device_subscription.ts";
import type { MessageViews } from "./message_views.ts";

export interface PushOptions {
  /** A state that was delivered at this time or before is too old to be sent, on the monotonic clock. */
  readonly oldest: number;
  /** Whether devices that fell silent are told of. */
  readonly tellsStale: boolean;
  /** Whether each message says when it was read. */
  readonly isDated: boolean;
  readonly views: MessageViews;
}

/** Something that notes how far it was sent; what it offered to a push that was left out it offers again. */
export interface Offering {
  sent(): void;
}

export class Push implements PushOptions {
  readonly oldest: number;
  readonly tellsStale: boolean;
  readonly isDated: boolean;
  readonly views: MessageViews;
  readonly frames: Frame[] = [];
  readonly offerings: Offering[] = [];
  /** Subscriptions that missed something and must fetch it before they go on. */
  readonly behindDevices: DeviceSubscription[] = [];
  behindAlerts: AlertSubscription | null = null;
  bytes = 0;
  /** Messages of which nobody had made JSON before. */
  encoded = 0;
  isOwed = false;
  /** When the oldest of what it holds was read, in milliseconds since the epoch. */
  readAt = Infinity;
  /** When the newest sample was taken that is new to a client that had an older one; -Infinity where there is none. */
  newestAt = -Infinity;

  constructor({ oldest, tellsStale, isDated, views }: PushOptions) {
    this.oldest = oldest;
    this.tellsStale = tellsStale;
    this.isDated = isDated;
    this.views = views;
  }

  add(frame: Frame, readAt: number): void {
    const dated = this.isDated ? this.views.dated(frame, readAt) : frame;
    this.frames.push(dated);
    if (dated.bytes === null) this.encoded++;
    this.bytes += frameBytes(dated);
    if (readAt < this.readAt) this.readAt = readAt;
  }

  /** Takes note of when such a sample was taken, in milliseconds since the epoch. */
  note(sampledAt: number): void {
    if (sampledAt > this.newestAt) this.newestAt = sampledAt;
  }
}
