// One client: whose it is, what it follows, and the loop that pushes to it. It holds no feed and reads no database;
// the ConnectionManager alone changes its subscriptions, because interest must change with them.
import type { Scope } from "../auth/scope.ts";
import type { Clock } from "../clock.ts";
import { CLOSINGS } from "../errors.ts";
import { type Metrics, NO_METRICS } from "../observe/metrics.ts";
import { type Frame, frameOf } from "../protocol/frame.ts";
import type { Feature } from "../protocol/client_messages.ts";
import type { ServerMessage } from "../protocol/server_messages.ts";
import type { SourceName, SourceStatus } from "../feed/seam.ts";
import type { Socket } from "../sockets/socket.ts";
import type { AlertSubscription } from "./alert_subscription.ts";
import type { AllSubscription } from "./all_subscription.ts";
import type { DeviceSubscription } from "./device_subscription.ts";
import type { FleetSubscription } from "./fleet_subscription.ts";
import { batchFrame } from "./message_views.ts";
import { Outflow } from "./outflow.ts";
import { Push } from "./push.ts";
import { resumePoint } from "./resume_point.ts";
import type { TenantGroup } from "./tenant_group.ts";

export type ConnectionMetrics = Pick<Metrics, "sent" | "encoded" | "freshness">;

export interface ConnectionOptions {
  readonly id: string;
  readonly scope: Scope;
  readonly socket: Socket;
  readonly group: TenantGroup;
  /** Bytes waiting in the socket, the next push included, above which a push is left out. */
  readonly highWaterBytes: number;
  /** A state that waited longer than this for the socket to drain is not sent any more. */
  readonly maxAgeMs: number;
  /** How late a sample may be stored and still be pushed. */
  readonly lateMs: number;
  readonly clock: Clock;
  readonly metrics?: ConnectionMetrics;
  /** Told of each push that was left out. */
  readonly missed: () => void;
  /** Fetches what subscriptions missed; they are held until it has. */
  readonly behind: (missed: {
    readonly devices: readonly DeviceSubscription[];
    readonly alerts: AlertSubscription | null;
  }) => void;
}

export class Connection {
  readonly id: string;
  readonly scope: Scope;
  readonly socket: Socket;
  readonly group: TenantGroup;
  /** The devices that the client named. */
  readonly devices = new Map<string, DeviceSubscription>();
  /** The devices that it follows because it follows all. */
  readonly implied = new Map<string, DeviceSubscription>();
  all: AllSubscription | null = null;
  alerts: AlertSubscription | null = null;
  fleet: FleetSubscription | null = null;
  readonly #outflow: Outflow;
  readonly #metrics: ConnectionMetrics;
  readonly #lateMs: number;
  readonly #maxAgeMs: number;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  #isOwed = false;
  /** Whether a client that can come back was told from where. */
  #isStartTold = false;
  #missedPushes = 0;
  readonly #missed: () => void;
  readonly #behind: ConnectionOptions["behind"];
  /** The state of each source as this client was told it. */
  readonly #toldStatuses = new Map<SourceName, SourceStatus["state"]>();
  #features: ReadonlySet<Feature> = new Set();
  #closedAt: number | null = null;
  /** Set by a wake that came while the loop was not waiting. */
  #isWoken = false;
  /** Ages count from here: a loop that others keep waiting must not find everything too old. */
  #wokenAt = 0;
  #resume: (() => void) | null = null;

  constructor({ id, scope, socket, group, ...options }: ConnectionOptions) {
    this.id = id;
    this.scope = scope;
    this.socket = socket;
    this.group = group;
    const { clock, highWaterBytes, metrics = NO_METRICS } = options;
    this.#outflow = new Outflow({ socket, clock, highWaterBytes, metrics, signal: this.signal });
    this.#metrics = metrics;
    this.#lateMs = options.lateMs;
    this.#maxAgeMs = options.maxAgeMs;
    this.#clock = options.clock;
    this.#missed = options.missed;
    this.#behind = options.behind;
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
    if (this.#outflow.answer(frameOf(message))) return;
    // It asks and never reads: answers are not left out as pushes are.
    this.close(CLOSINGS.slow_client.closeCode, CLOSINGS.slow_client.sentence);
  }

  /** Whether the client asked for the feature. */
  has(feature: Feature): boolean {
    return this.#features.has(feature);
  }

  /** Takes over what a `hello` asked for, in place of what an earlier one did. */
  accept(features: readonly Feature[]): void {
    this.#features = new Set(features);
    if (!this.has("notices")) this.#toldStatuses.clear();
  }

  /** The subscription that a device's samples go by, named or implied. */
  subscriptionOf(deviceId: string): DeviceSubscription | undefined {
    return this.devices.get(deviceId) ?? this.implied.get(deviceId);
  }

  /** Takes a device of the tenant that has just been seen first, where all are followed. */
  discovered(deviceId: string): void {
    if (this.all === null || this.subscriptionOf(deviceId) !== undefined) return;
    this.all.meet({ deviceId, isNamed: false });
  }

  /** Tells a source's state to a client that asked for notices and follows the source; each change once. */
  tell({ source, state, since, retryAt }: SourceStatus): void {
    if (!this.has("notices") || !this.#follows(source)) return;
    if ((this.#toldStatuses.get(source) ?? "ok") === state) return;
    this.#toldStatuses.set(source, state);
    this.send({
      type: "status",
      source,
      state,
      since: new Date(since).toISOString(),
      ...(retryAt === null ? {} : { retry_in_ms: Math.max(0, retryAt - this.#clock.now()) }),
    });
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
    if (!this.signal.aborted) await this.#outflow.offer(frames, signal);
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

  /** Notes that a subscription waits for its first value, so that a read between ticks wakes the loop. */
  owe(): void {
    this.#isOwed = true;
  }

  /** Lets the loop look at its subscriptions once more, as of a time on the monotonic clock. */
  wake(at = this.#now()): void {
    this.#isWoken = true;
    this.#wokenAt = at;
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

  /** Sends what is due; a full socket misses it and is offered what is newer then. */
  #push(): void {
    const push = new Push({
      oldest: this.#wokenAt - this.#maxAgeMs,
      tellsStale: this.has("notices"),
      isDated: this.has("as_of") && !this.has("batch"),
      views: this.group.views,
    });
    for (const subscription of this.devices.values()) subscription.collect(push);
    for (const subscription of this.implied.values()) subscription.collect(push);
    this.alerts?.collect(push);
    this.fleet?.collect(push);
    if (push.behindDevices.length > 0 || push.behindAlerts !== null) {
      this.#behind({ devices: push.behindDevices, alerts: push.behindAlerts });
    }

    this.#metrics.encoded(push.encoded);
    if (!this.#outflow.fits(push.bytes)) {
      this.#missedPushes++;
      this.#missed();
      return;
    }
    this.#isOwed = push.isOwed;
    for (const offering of push.offerings) offering.sent();
    if (push.frames.length === 0) {
      this.#tellStart();
      return;
    }
    const { bytes, readAt } = push;
    const frames = this.has("batch") ? [batchFrame(push.frames, readAt)] : push.frames;
    if (push.newest !== null) {
      this.#metrics.freshness(this.#clock.now() - Date.parse(push.newest));
    }
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
    const resumeFrom = this.#resumePoint(this.#clock.now());
    if (resumeFrom === null) return;
    this.#isStartTold = true;
    this.socket.send([], resumeFrom);
  }

  #resumePoint(readAt: number): string | null {
    return resumePoint(this, { readAt, lateMs: this.#lateMs });
  }

  #follows(source: SourceName): boolean {
    return this.fleet !== null ||
      (source === "alerts" ? this.alerts !== null : this.devices.size > 0 || this.all !== null);
  }

  #now(): number {
    return this.#clock.monotonicNow();
  }
}
