// Reads for one tenant: once an interval for the union of what its connections follow, and at once for what nobody
// followed a moment ago. It knows counts, never connections, and holds no socket.
import { type Clock, delay, type TimerHandle } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import { frameOf } from "../protocol/frame.ts";
import type { AlertSource } from "../sources/alert_source.ts";
import type { TelemetrySource } from "../sources/telemetry_source.ts";
import { Interest } from "./interest.ts";
import { Lane, type LaneOptions } from "./lane.ts";
import type { AlertState, DeviceState, InterestChange, Snapshot } from "./seam.ts";
import { TelemetryStates } from "./telemetry_states.ts";

export interface FeedOptions {
  readonly telemetry: TelemetrySource;
  readonly alerts: AlertSource;
  readonly pollIntervalMs: number;
  /** Greatest number of open alerts in one `alerts` message. */
  readonly maxAlerts: number;
  readonly clock: Clock;
  readonly log: Log;
  /** A number in [0, 1); spreads phases and pauses. */
  readonly random: () => number;
}

/** First values asked for within this time are one read. */
const FIRST_READ_WINDOW_MS = 5;
/** A tick's two reads are published together unless one is this much slower: one wake-up, one write a socket. */
const PUBLISH_GRACE_MS = 50;
const RETRY_MAX_MS = 60_000;

export class TenantFeed {
  readonly #tenantId: string;
  readonly #options: FeedOptions;
  readonly #deliver: (snapshot: Snapshot) => void;
  readonly #stopped = new AbortController();
  readonly #interest = new Interest();
  readonly #states: TelemetryStates;
  readonly #telemetryLane: Lane;
  readonly #alertLane: Lane;
  readonly #firstDevices = new Set<string>();
  readonly #readingFirst = new Set<string>();
  #firstAlerts = false;
  #isReadingFirstAlerts = false;
  #firstTimer: TimerHandle | null = null;
  #alerts: AlertState | null = null;
  #seq = 0;

  constructor(
    tenantId: string,
    { deliver, ...options }: FeedOptions & { readonly deliver: (snapshot: Snapshot) => void },
  ) {
    this.#tenantId = tenantId;
    this.#options = options;
    this.#deliver = deliver;
    const { clock, log, random, pollIntervalMs } = options;
    const lane: Omit<LaneOptions, "source"> = {
      tenantId,
      retryBaseMs: pollIntervalMs,
      retryMaxMs: Math.max(RETRY_MAX_MS, pollIntervalMs),
      clock,
      log,
      random,
    };
    this.#telemetryLane = new Lane({ ...lane, source: "telemetry" });
    this.#alertLane = new Lane({ ...lane, source: "alerts" });
    this.#states = new TelemetryStates({
      tenantId,
      source: options.telemetry,
      clock,
      log,
      quarantineMs: RETRY_MAX_MS,
    });
    this.#run();
  }

  get interest(): Interest {
    return this.#interest;
  }

  /** Counts a change of interest and reads at once what it asks a first value of. */
  change(change: InterestChange): void {
    this.#interest.apply(change);
    for (const { deviceId } of change.devices ?? []) {
      if (!this.#interest.follows(deviceId)) this.#states.forget(deviceId);
    }
    for (const deviceId of change.first?.devices ?? []) {
      if (!this.#readingFirst.has(deviceId)) this.#firstDevices.add(deviceId);
    }
    if (change.first?.alerts === true && !this.#isReadingFirstAlerts) this.#firstAlerts = true;
    if (this.#firstDevices.size === 0 && !this.#firstAlerts) return;
    this.#firstTimer ??= this.#options.clock.setTimeout(() => {
      this.#firstTimer = null;
      this.#readFirst();
    }, FIRST_READ_WINDOW_MS);
  }

  /** Ends all reads and timers; nothing is delivered afterwards. */
  stop(): void {
    this.#stopped.abort(new DOMException("Feed stopped", "AbortError"));
    if (this.#firstTimer !== null) this.#options.clock.clearTimeout(this.#firstTimer);
  }

  async #run(): Promise<void> {
    const { clock, pollIntervalMs, random } = this.#options;
    const { signal } = this.#stopped;
    let dueAt = clock.monotonicNow() + random() * pollIntervalMs;
    while (!signal.aborted) {
      await delay(clock, dueAt - clock.monotonicNow(), signal);
      if (signal.aborted) return;
      await this.#tick();
      const now = clock.monotonicNow();
      dueAt += pollIntervalMs;
      // Ticks that could not be held are left out, not made up for.
      if (dueAt < now) dueAt = now + (pollIntervalMs - ((now - dueAt) % pollIntervalMs));
    }
  }

  /** Starts what is due and publishes it; a read that outlasts the grace is published by itself when it ends. */
  async #tick(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopped;
    const devices = this.#telemetryLane.isReady ? this.#tickDevices() : null;
    const alerts = this.#alertLane.isReady && this.#interest.followsAlerts
      ? this.#alertLane.read(signal, () => this.#readAlerts())
      : null;
    if (devices === null || alerts === null) {
      this.#publishEach(devices, alerts);
      return;
    }
    const grace = new AbortController();
    const tooLong = Promise.race([devices, alerts])
      .then(() => delay(clock, PUBLISH_GRACE_MS, AbortSignal.any([signal, grace.signal])))
      .then(() => "too long" as const);
    const both = Promise.all([devices, alerts]);
    const first = await Promise.race([both, tooLong]);
    grace.abort();
    if (first !== "too long") this.#publish("tick", { devices: first[0], alerts: first[1] });
    else this.#publishEach(devices, alerts);
  }

  #tickDevices(): Promise<readonly DeviceState[] | null> | null {
    const { deviceIds } = this.#interest;
    if (deviceIds.length === 0) return null;
    const { signal } = this.#stopped;
    return this.#telemetryLane.read(signal, () => this.#readDevices(deviceIds));
  }

  /** Reads first values, unless a pause lasts: then the tick that ends it brings them. */
  #readFirst(): void {
    if (this.#stopped.signal.aborted) return;
    this.#readFirstAlerts();
    // One read of first devices at a time: those that come meanwhile share the next.
    if (this.#readingFirst.size === 0) this.#readFirstDevices();
  }

  async #readFirstDevices(): Promise<void> {
    const deviceIds = [...this.#firstDevices].filter((id) => this.#interest.follows(id));
    this.#firstDevices.clear();
    if (deviceIds.length === 0 || this.#telemetryLane.isPaused) return;
    for (const deviceId of deviceIds) this.#readingFirst.add(deviceId);
    const devices = await this.#telemetryLane.attempt(
      this.#stopped.signal,
      () => this.#readDevices(deviceIds),
    );
    this.#readingFirst.clear();
    this.#publish("first", { devices, alerts: null });
    this.#readFirst();
  }

  async #readFirstAlerts(): Promise<void> {
    if (!this.#firstAlerts) return;
    this.#firstAlerts = false;
    if (!this.#interest.followsAlerts || this.#alertLane.isPaused) return;
    this.#isReadingFirstAlerts = true;
    const alerts = await this.#alertLane.attempt(this.#stopped.signal, () => this.#readAlerts());
    this.#isReadingFirstAlerts = false;
    this.#publish("first", { devices: null, alerts });
  }

  async #readDevices(deviceIds: readonly string[]): Promise<readonly DeviceState[] | null> {
    const { signal } = this.#stopped;
    try {
      return await this.#states.read(deviceIds, { seq: ++this.#seq, signal });
    } finally {
      // Unfollowed while they were read: nobody else would forget them.
      for (const deviceId of deviceIds) {
        if (!this.#interest.follows(deviceId)) this.#states.forget(deviceId);
      }
    }
  }

  async #readAlerts(): Promise<AlertState | null> {
    const { alerts: source, clock, maxAlerts } = this.#options;
    const seq = ++this.#seq;
    const readAt = clock.now();
    const alerts = await source.readOpen({
      tenantId: this.#tenantId,
      limit: maxAlerts,
      signal: this.#stopped.signal,
    });
    if (this.#alerts !== null && this.#alerts.seq > seq) return null;
    this.#alerts = { seq, readAt, frame: frameOf({ type: "alerts", alerts }) };
    return this.#alerts;
  }

  #publishEach(
    devices: Promise<readonly DeviceState[] | null> | null,
    alerts: Promise<AlertState | null> | null,
  ): void {
    devices?.then((states) => this.#publish("tick", { devices: states, alerts: null }));
    alerts?.then((state) => this.#publish("tick", { devices: null, alerts: state }));
  }

  #publish(
    cause: Snapshot["cause"],
    { devices, alerts }: { devices: readonly DeviceState[] | null; alerts: AlertState | null },
  ): void {
    if (this.#stopped.signal.aborted || (devices === null && alerts === null)) return;
    this.#deliver({ tenantId: this.#tenantId, cause, devices: devices ?? [], alerts });
  }
}
