// One client: whose it is, what it follows, and what is pushed to it when. It holds no feed and reads no database;
// the ConnectionManager alone changes its subscriptions, because interest must change with them.
import type { Scope } from "../auth/scope.ts";
import type { Clock } from "../clock.ts";
import { CLOSINGS } from "../errors.ts";
import { type Metrics, NO_METRICS } from "../observe/metrics.ts";
import { type Frame, frameOf } from "../protocol/frame.ts";
import { type Feature, FEATURES } from "../protocol/client_messages.ts";
import type { ServerMessage, SourceName } from "../protocol/server_messages.ts";
import type { SourceStatus } from "../feed/seam.ts";
import type { Socket } from "../sockets/socket.ts";
import type { AlertSubscription } from "./alert_subscription.ts";
import type { AllSubscription } from "./all_subscription.ts";
import type { DeviceSubscription } from "./device_subscription.ts";
import type { FleetSubscription } from "./fleet_subscription.ts";
import { HeldDevices, type Subscriptions } from "./held_devices.ts";
import { Outflow } from "./outflow.ts";
import { Push } from "./push.ts";
import type { PushTurns, Turn } from "./push_turns.ts";
import { resumePoint } from "./resume_point.ts";
import { SourceNotices } from "./source_notices.ts";
import type { TenantGroup } from "./tenant_group.ts";

export type ConnectionMetrics = Pick<Metrics, "sent" | "encoded" | "freshness">;

/** What a connection is of its own. */
export interface ConnectionOptions {
  readonly id: string;
  readonly scope: Scope;
  readonly socket: Socket;
  readonly group: TenantGroup;
}

/** What it shares with all others. */
export interface ConnectionDeps {
  /** Bytes waiting in the socket, the next push included, above which a push is left out. */
  readonly highWaterBytes: number;
  /** A state that waited longer than this for the socket to drain is not sent any more. */
  readonly maxAgeMs: number;
  /** How late a sample may be stored and still be pushed. */
  readonly lateMs: number;
  readonly clock: Clock;
  readonly turns: PushTurns;
  readonly metrics?: ConnectionMetrics;
  /** Told of each push that was left out. */
  readonly missed: () => void;
  /** Fetches what subscriptions missed; they are held until it has. */
  readonly behind: (connection: Connection, missed: {
    readonly devices: readonly DeviceSubscription[];
    readonly alerts: AlertSubscription | null;
  }) => void;
  /** Told of a push that failed; nothing is pushed to the connection any more. */
  readonly failed: (connection: Connection, error: unknown) => void;
}

/** What waits for it runs once whatever runs now is over. */
const NOW = Promise.resolve();
const FEATURE_BITS = Object.fromEntries(
  FEATURES.map((feature, nth) => [feature, 1 << nth]),
) as Readonly<Record<Feature, number>>;

export class Connection implements Turn {
  readonly id: string;
  readonly scope: Scope;
  readonly socket: Socket;
  readonly group: TenantGroup;
  readonly held = new HeldDevices();
  all: AllSubscription | null = null;
  alerts: AlertSubscription | null = null;
  fleet: FleetSubscription | null = null;
  readonly #outflow: Outflow;
  readonly #deps: ConnectionDeps;
  #isEnded = false;
  #controller: AbortController | null = null;
  /** Ends with the connection. */
  #companion: Disposable | null = null;
  #isOwed = false;
  /** Whether a client that can come back was told from where. */
  #isStartTold = false;
  #missedPushes = 0;
  /** Made for who asks to be told. */
  #notices: SourceNotices | null = null;
  /** One bit for each that the client asked for. */
  #features = 0;
  #closedAt: number | null = null;
  /** Whether it is about to push at once, and whether in its turn. */
  #isWoken = false;
  #awaitsTurn = false;
  /** Ages count from here: a push that others keep waiting must not find everything too old. */
  #wokenAt = 0;

  constructor({ id, scope, socket, group }: ConnectionOptions, deps: ConnectionDeps) {
    this.id = id;
    this.scope = scope;
    this.socket = socket;
    this.group = group;
    this.#deps = deps;
    this.#outflow = new Outflow(this, deps);
  }

  /** The devices that the client named. */
  get devices(): Subscriptions {
    return this.held.named;
  }

  /** Whether nothing is sent any more. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Aborts when the connection ends; made for the first who waits. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#isEnded) this.#controller.abort();
    }
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
    if (this.#isEnded) return;
    if (this.#outflow.answer(frameOf(message))) return;
    // It asks and never reads: answers are not left out as pushes are.
    this.close(CLOSINGS.slow_client.closeCode, CLOSINGS.slow_client.sentence);
  }

  /** Whether the client asked for the feature. */
  has(feature: Feature): boolean {
    return (this.#features & FEATURE_BITS[feature]) !== 0;
  }

  /** Takes over what a `hello` asked for, in place of what an earlier one did. */
  accept(features: readonly Feature[]): void {
    this.#features = 0;
    for (const feature of features) this.#features |= FEATURE_BITS[feature];
    if (!this.has("notices")) this.#notices = null;
  }

  /** Names what ends with the connection. */
  accompany(companion: Disposable): void {
    this.#companion = companion;
    if (this.#isEnded) companion[Symbol.dispose]();
  }

  /** Takes a device of the tenant that has just been seen first, where all are followed. */
  discovered(deviceId: string): void {
    if (this.all === null || this.held.of(deviceId) !== undefined) return;
    this.all.meet({ deviceId, isNamed: false });
  }

  /** Tells a source's state to a client that asked for notices and follows the source; each change once. */
  tell(status: SourceStatus): void {
    if (!this.has("notices") || !this.#follows(status.source)) return;
    this.#notices ??= new SourceNotices();
    const notice = this.#notices.due(status, this.#deps.clock.now());
    if (notice !== null) this.send(notice);
  }

  /** Tells how the sources are, where it is not what was told last: to who begins to follow them, or to be told. */
  tellStatuses(): void {
    for (const source of ["telemetry", "alerts"] as const) {
      const status = this.group.statusOf(source);
      if (status !== undefined) this.tell(status);
    }
  }

  /**
   * Sends beside the pushes: asks for the frames when the socket has room for them, and sends them at once. Resolves
   * then, or when the signal aborts.
   */
  async offer(frames: () => readonly Frame[], signal: AbortSignal): Promise<void> {
    if (!this.#isEnded) await this.#outflow.offer(frames, signal);
  }

  /** Milliseconds for which the socket has been too full to send; 0 while it is not. */
  stuckMs(): number {
    return this.#outflow.stuckMs();
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

  /** Notes that a subscription waits for its first value, so that a read between ticks wakes the connection. */
  owe(): void {
    this.#isOwed = true;
  }

  /** Has the subscriptions looked at once more, after whatever runs now and as of a time on the monotonic clock. */
  wake(at = this.#now()): void {
    this.#wokenAt = at;
    if (this.#isWoken || this.#isEnded) return;
    this.#isWoken = true;
    void NOW.then(() => {
      this.#isWoken = false;
      this.#look();
    });
  }

  /** The same, when it is its turn among all whom a tick concerns. */
  wakeInTurn(at: number): void {
    this.#wokenAt = at;
    if (this.#awaitsTurn || this.#isEnded) return;
    this.#awaitsTurn = true;
    this.#deps.turns.add(this.group.turns, this);
  }

  take(): void {
    this.#awaitsTurn = false;
    this.#look();
  }

  /** Ends the pushes; nothing is sent afterwards. */
  abort(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#controller?.abort();
    this.#companion?.[Symbol.dispose]();
  }

  #look(): void {
    if (this.#isEnded) return;
    try {
      this.#push();
    } catch (error) {
      this.#deps.failed(this, error);
    }
  }

  /** Sends what is due; a full socket misses it and is offered what is newer then. */
  #push(): void {
    const push = new Push({
      oldest: this.#wokenAt - this.#deps.maxAgeMs,
      tellsStale: this.has("notices"),
      isDated: this.has("as_of") && !this.has("batch"),
      views: this.group.views,
    });
    for (const subscription of this.held.named.values()) subscription.collect(push);
    for (const subscription of this.held.implied.values()) subscription.collect(push);
    this.alerts?.collect(push);
    this.fleet?.collect(push);
    if (push.behindDevices.length > 0 || push.behindAlerts !== null) {
      this.#deps.behind(this, { devices: push.behindDevices, alerts: push.behindAlerts });
    }

    const { clock, metrics = NO_METRICS, missed } = this.#deps;
    metrics.encoded(push.encoded);
    if (!this.#outflow.fits(push.bytes)) {
      this.#missedPushes++;
      missed();
      return;
    }
    this.#isOwed = push.isOwed;
    for (const offering of push.offerings) offering.sent();
    if (push.frames.length === 0) {
      this.#tellStart();
      return;
    }
    const { bytes, readAt } = push;
    const frames = this.has("batch") ? [this.group.views.batch(push.frames, readAt)] : push.frames;
    const { newestAt } = push;
    if (newestAt > -Infinity) metrics.freshness(clock.now() - newestAt);
    if (this.socket.isResumable !== true) {
      this.#outflow.push(frames, { bytes });
      return;
    }
    const resumeFrom = this.#resumePoint(readAt);
    this.#isStartTold ||= resumeFrom !== null;
    this.#outflow.push(frames, { bytes, resumeFrom });
  }

  /** Who follows every sample may wait long for a first one, and must know where to come back to until then. */
  #tellStart(): void {
    if (this.socket.isResumable !== true || this.#isStartTold || this.#isOwed) return;
    const resumeFrom = this.#resumePoint(this.#deps.clock.now());
    if (resumeFrom === null) return;
    this.#isStartTold = true;
    this.socket.send([], resumeFrom);
  }

  #resumePoint(readAt: number): string | null {
    return resumePoint(this, { readAt, lateMs: this.#deps.lateMs });
  }

  #follows(source: SourceName): boolean {
    return this.fleet !== null ||
      (source === "alerts" ? this.alerts !== null : this.devices.size > 0 || this.all !== null);
  }

  #now(): number {
    return this.#deps.clock.monotonicNow();
  }
}
