// One client: whose it is, what it follows, and the loop that pushes to it. It holds no feed and reads no database;
// the ConnectionManager alone changes its subscriptions, because interest must change with them.
import type { Scope } from "../auth/scope.ts";
import type { Clock } from "../clock.ts";
import { CLOSINGS } from "../errors.ts";
import { type Frame, frameBytes, frameOf } from "../protocol/frame.ts";
import type { Feature } from "../protocol/client_messages.ts";
import type { ServerMessage } from "../protocol/server_messages.ts";
import type { Socket } from "../sockets/socket.ts";
import type { Delivered, FollowedDevice, TenantGroup } from "./tenant_group.ts";

/** How far a subscription has come. */
export interface Progress {
  /** The read that it was last sent the outcome of; a state is due when its read is a later one. */
  seq: number;
  /** Whether it still waits for its first value. */
  isOwed: boolean;
}

/** What a push needs to know of a state. */
type Due = Delivered<{ readonly seq: number; readonly frame: Frame | null }>;

export interface DeviceSubscription extends Progress {
  readonly device: FollowedDevice;
}

export interface ConnectionOptions {
  readonly id: string;
  readonly scope: Scope;
  readonly socket: Socket;
  readonly group: TenantGroup;
  /** Bytes waiting in the socket, the next push included, above which a push is left out. */
  readonly highWaterBytes: number;
  /** A state that waited longer than this for the socket to drain is not sent any more. */
  readonly maxAgeMs: number;
  readonly clock: Clock;
  /** Told of each push that was left out. */
  readonly missed: () => void;
}

export class Connection {
  readonly id: string;
  readonly scope: Scope;
  readonly socket: Socket;
  readonly group: TenantGroup;
  readonly devices = new Map<string, DeviceSubscription>();
  alerts: Progress | null = null;
  readonly #highWaterBytes: number;
  readonly #maxAgeMs: number;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  #isOwed = false;
  #missedPushes = 0;
  readonly #missed: () => void;
  /** Bytes of answers that were added to a socket that was too full already. */
  #unreadAnswers = 0;
  #features: ReadonlySet<Feature> = new Set();
  /** Since when the socket has been too full to send, on the monotonic clock. */
  #fullSince: number | null = null;
  #closedAt: number | null = null;
  /** Set by a wake that came while the loop was not waiting. */
  #isWoken = false;
  #resume: (() => void) | null = null;

  constructor({ id, scope, socket, group, ...options }: ConnectionOptions) {
    this.id = id;
    this.scope = scope;
    this.socket = socket;
    this.group = group;
    this.#highWaterBytes = options.highWaterBytes;
    this.#maxAgeMs = options.maxAgeMs;
    this.#clock = options.clock;
    this.#missed = options.missed;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether a subscription still waits for its first value. */
  get isOwed(): boolean {
    return this.#isOwed;
  }

  /** Pushes left out because the socket was full. */
  get missedPushes(): number {
    return this.#missedPushes;
  }

  /** Sends one message now, before anything that is pushed later. */
  send(message: ServerMessage): void {
    if (this.signal.aborted) return;
    const frame = frameOf(message);
    this.socket.send([frame]);
    // Answers are not left out as pushes are: a client that asks and never reads is on its way to being stuck.
    if (this.socket.bufferedBytes <= this.#highWaterBytes) {
      this.#unreadAnswers = 0;
      return;
    }
    this.#fullSince ??= this.#now();
    this.#unreadAnswers += frameBytes(frame);
    // However often it may ask, what waits for it is bounded by the largest push and twice the mark.
    if (this.#unreadAnswers > this.#highWaterBytes) {
      this.close(CLOSINGS.slow_client.closeCode, CLOSINGS.slow_client.sentence);
    }
  }

  /** Whether the client asked for the feature. */
  has(feature: Feature): boolean {
    return this.#features.has(feature);
  }

  /** Takes over what a `hello` asked for, in place of what an earlier one did. */
  accept(features: readonly Feature[]): void {
    this.#features = new Set(features);
  }

  /** Milliseconds for which the socket has been too full to send; 0 while it is not. */
  stuckMs(): number {
    if (this.#fullSince !== null && this.socket.bufferedBytes === 0) this.#fullSince = null;
    return this.#fullSince === null ? 0 : this.#now() - this.#fullSince;
  }

  /** Milliseconds since the service closed the socket; 0 while it has not. */
  closingMs(): number {
    return this.#closedAt === null ? 0 : this.#now() - this.#closedAt;
  }

  /** Says good-bye: nothing is sent any more. */
  close(code: number, reason: string): void {
    this.#closedAt ??= this.#now();
    this.abort();
    this.socket.close(code, reason);
  }

  /** Notes that a subscription waits for its first value, so that a read between ticks wakes the loop. */
  owe(): void {
    this.#isOwed = true;
  }

  /** Lets the loop look at its subscriptions once more. */
  wake(): void {
    this.#isWoken = true;
    this.#resume?.();
  }

  /** Ends the loop; nothing is sent afterwards. */
  abort(): void {
    this.#controller.abort();
    this.#resume?.();
  }

  /** The push loop: waits to be woken, sends what is due, until the connection is aborted. */
  async run(): Promise<void> {
    while (!this.signal.aborted) {
      if (!this.#isWoken) await new Promise<void>((resolve) => this.#resume = resolve);
      this.#resume = null;
      this.#isWoken = false;
      if (!this.signal.aborted) this.#push();
    }
  }

  /** Sends every state that came from a later read than the last one sent; a full socket misses it and gets newer ones. */
  #push(): void {
    const frames: Frame[] = [];
    const sent: Array<[Progress, number]> = [];
    let isOwed = false;
    let bytes = 0;
    const oldest = this.#now() - this.#maxAgeMs;
    const collect = (subscription: Progress, state: Due | null) => {
      if (state === null || state.seq <= subscription.seq) {
        isOwed ||= subscription.isOwed;
        return;
      }
      sent.push([subscription, state.seq]);
      if (state.frame === null || state.deliveredAt <= oldest) return;
      frames.push(state.frame);
      bytes += frameBytes(state.frame);
    };
    for (const subscription of this.devices.values()) {
      collect(subscription, subscription.device.state);
    }
    if (this.alerts !== null) collect(this.alerts, this.group.alerts);

    const { bufferedBytes } = this.socket;
    if (bufferedBytes > 0 && bufferedBytes + bytes > this.#highWaterBytes) {
      this.#missedPushes++;
      this.#missed();
      this.#fullSince ??= this.#now();
      return;
    }
    this.#isOwed = isOwed;
    for (const [subscription, seq] of sent) {
      subscription.seq = seq;
      subscription.isOwed = false;
    }
    if (frames.length > 0) {
      this.#fullSince = null;
      this.socket.send(frames);
    }
  }

  #now(): number {
    return this.#clock.monotonicNow();
  }
}
