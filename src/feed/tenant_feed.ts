// Reads for one tenant: once an interval for the union of what its connections follow, and at once for what nobody
// followed a moment ago or what the database notified of. It knows counts, never connections, and holds no socket.
import { type Clock, type TimerHandle, waitFor } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import { type FeedUsage, type Metrics, NO_METRICS } from "../observe/metrics.ts";
import { beginInSpan } from "../observe/traces.ts";
import type { SourceName } from "../protocol/server_messages.ts";
import type { AlertSource } from "../sources/alert_source.ts";
import type { SourceState } from "../sources/source_guard.ts";
import type { TelemetrySource } from "../sources/telemetry_source.ts";
import { type AlertNews, AlertStates } from "./alert_states.ts";
import { FleetStates } from "./fleet_states.ts";
import { FirstReads } from "./first_reads.ts";
import { Interest } from "./interest.ts";
import { Lane } from "./lane.ts";
import { NotifiedReads } from "./notified_reads.ts";
import { Outbox } from "./outbox.ts";
import type { InterestChange, Snapshot, SourceStatus } from "./seam.ts";
import type { TelemetryNews } from "./telemetry_news.ts";
import { runTicks } from "./run_ticks.ts";
import { TelemetryReads } from "./telemetry_reads.ts";

export interface FeedOptions {
  readonly telemetry: TelemetrySource;
  readonly alerts: AlertSource;
  readonly pollIntervalMs: number;
  /** How late a sample or an alert may come and still be told to those who follow every one. */
  readonly lateMs: number;
  /** A device whose newest sample is older than this is stale. */
  readonly staleMs: number;
  /** Greatest number of open alerts in one `alerts` message. */
  readonly maxAlerts: number;
  /** Greatest number of open alerts that those who need more than that message follow. */
  readonly maxOpenAlerts: number;
  /** Greatest number of devices that are followed all at once. */
  readonly maxFleetDevices: number;
  /** Most samples of one device that one read brings; a few thousand where nothing is said. */
  readonly maxRangeSamples?: number;
  /** How the sources are, for everybody. */
  readonly states: () => Readonly<Record<SourceName, SourceState>>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics?: Pick<Metrics, "ticked">;
  /** Told of each read that found more devices, or more open alerts, of a tenant than are followed. */
  readonly cut?: (source: SourceName) => void;
  /** A number in [0, 1); spreads phases and pauses. */
  readonly random: () => number;
}

/** A tick's two reads are published together unless one is this much slower: one wake-up, one write a socket. */
const PUBLISH_GRACE_MS = 50;
const RETRY_MAX_MS = 60_000;
/** Feeds that missed notifications don't all read at once. */
const MISSED_SPREAD_MS = 1_000;

export interface TenantFeedOptions extends FeedOptions {
  /** When the first tick is due, on the monotonic clock; the others follow at the interval. */
  readonly firstTickAt: number;
  readonly deliver: (snapshot: Snapshot) => void;
}

export class TenantFeed {
  readonly firstTickAt: number;
  readonly #options: FeedOptions;
  readonly #stopped = new AbortController();
  readonly #interest = new Interest();
  readonly #telemetry: TelemetryReads;
  readonly #alerts: AlertStates;
  readonly #fleet: FleetStates;
  readonly #telemetryLane: Lane;
  readonly #alertLane: Lane;
  readonly #first: FirstReads;
  readonly #notified: NotifiedReads;
  readonly #outbox: Outbox;
  #missedTimer: TimerHandle | null = null;
  #seq = 0;

  constructor(tenantId: string, { deliver, firstTickAt, ...options }: TenantFeedOptions) {
    this.firstTickAt = firstTickAt;
    this.#options = options;
    const { clock, pollIntervalMs, maxRangeSamples } = options;
    const { signal } = this.#stopped;
    const nextSeq = () => ++this.#seq;
    this.#outbox = new Outbox(tenantId, deliver);
    this.#telemetryLane = this.#lane("telemetry", tenantId);
    this.#alertLane = this.#lane("alerts", tenantId);
    this.#telemetry = new TelemetryReads({
      ...options,
      ...(maxRangeSamples === undefined ? {} : { maxSamples: maxRangeSamples }),
      tenantId,
      source: options.telemetry,
      interest: this.#interest,
      quarantineMs: RETRY_MAX_MS,
      nextSeq,
      signal,
    });
    this.#alerts = new AlertStates({ ...options, tenantId, source: options.alerts, signal });
    this.#fleet = new FleetStates({ nextSeq });
    this.#first = new FirstReads({
      interest: this.#interest,
      telemetry: this.#telemetry,
      clock,
      readDevices: (target) => this.#readFirstDevices(target),
      readAlerts: () => this.#readFirstAlerts(),
      announce: () => this.#announce(),
    });
    this.#notified = new NotifiedReads({
      clock,
      waitMs: () => this.#alertLane.isReading ? null : this.#alertLane.restMs,
      read: async () => {
        if (!this.#interest.needsAlerts) return;
        await this.#readAlertsInTurn();
        this.#flush();
      },
    });
    void runTicks({
      firstAt: firstTickAt,
      intervalMs: pollIntervalMs,
      clock,
      signal,
      metrics: options.metrics ?? NO_METRICS,
      tick: () => this.#tick(),
    });
  }

  get interest(): Interest {
    return this.#interest;
  }

  /** What the tenant was told last of each source; null while there was nothing to tell. */
  get statuses(): Readonly<Record<SourceName, SourceStatus | null>> {
    return { telemetry: this.#telemetryLane.status, alerts: this.#alertLane.status };
  }

  /** How old what is read is, 0 where nobody wants it, and how far slow reads stretch the interval. */
  get usage(): Omit<FeedUsage, "feeds"> {
    const { pollIntervalMs } = this.#options;
    const stretch = ({ shareMs }: Lane) => Math.max(1, Math.ceil(shareMs / pollIntervalMs));
    return {
      snapshotAgeMs: {
        telemetry: this.#telemetry.isWanted ? this.#telemetryLane.ageMs : 0,
        alerts: this.#interest.needsAlerts ? this.#alertLane.ageMs : 0,
      },
      stretch: { telemetry: stretch(this.#telemetryLane), alerts: stretch(this.#alertLane) },
    };
  }

  /** Counts a change of interest and reads at once what it asks a first value of. */
  change(change: InterestChange): void {
    const wasConnected = this.#interest.connections > 0;
    const [wantedTelemetry, neededAlerts] = [this.#telemetry.isWanted, this.#interest.needsAlerts];
    this.#interest.apply(change);
    if (!wantedTelemetry && this.#telemetry.isWanted) this.#telemetryLane.wanted();
    if (!neededAlerts && this.#interest.needsAlerts) this.#alertLane.wanted();
    this.#telemetry.change(change);
    this.#outbox.withdraw((deviceId) => this.#telemetry.isTracked(deviceId));
    if (!this.#interest.needsWholeAlerts) this.#alerts.forgetWhole();
    if (!this.#interest.followsFleet) this.#fleet.forget();
    const lanes = [this.#telemetryLane, this.#alertLane];
    const isDegraded = lanes.some(({ status }) => status?.state === "degraded");
    // Who comes to a feed that outlived its last connection was told nothing yet.
    const isReturn = !wasConnected && this.#interest.connections > 0;
    this.#first.ask(change.first, { announces: isReturn && isDegraded });
  }

  /** The database says that the tenant's alerts have changed. */
  alertsNotified(): void {
    if (this.#interest.needsAlerts) this.#notified.notify();
  }

  /** The database may have said so and nobody heard it. */
  alertsMissed(): void {
    const { clock, random } = this.#options;
    if (!this.#interest.needsAlerts) return;
    this.#missedTimer ??= clock.setTimeout(() => {
      this.#missedTimer = null;
      this.alertsNotified();
    }, random() * MISSED_SPREAD_MS);
  }

  /** Ends all reads and timers; nothing is delivered afterwards. */
  stop(): void {
    this.#stopped.abort(new DOMException("Feed stopped", "AbortError"));
    this.#first.stop();
    this.#notified.stop();
    if (this.#missedTimer !== null) this.#options.clock.clearTimeout(this.#missedTimer);
  }

  #lane(source: SourceName, tenantId: string): Lane {
    const { clock, log, pollIntervalMs, random, states } = this.#options;
    return new Lane({
      source,
      tenantId,
      retryBaseMs: pollIntervalMs,
      retryMaxMs: Math.max(RETRY_MAX_MS, pollIntervalMs),
      clock,
      log,
      random,
      state: () => states()[source],
      changed: (status) => {
        this.#outbox.add({ cause: "tick", statuses: [status] });
        this.#flush();
      },
    });
  }

  /** Starts what is due and publishes it; a read that outlasts the grace is published by itself when it ends. */
  async #tick(): Promise<void> {
    const { clock } = this.#options;
    const readsDevices = this.#telemetryLane.isReady && this.#telemetry.isWanted;
    const readsAlerts = this.#alertLane.isReady && this.#interest.needsAlerts;
    if (!readsDevices && !readsAlerts) return;
    const [devices, alerts] = beginInSpan("tick", () =>
      [
        readsDevices ? this.#readTelemetryInTurn() : null,
        readsAlerts ? this.#readAlertsInTurn() : null,
      ] as const);
    if (devices !== null && alerts !== null) {
      await Promise.race([devices, alerts]);
      await waitFor(Promise.all([devices, alerts]), { atMostMs: PUBLISH_GRACE_MS, clock });
      this.#flush();
    }
    devices?.then(() => this.#flush());
    alerts?.then(() => this.#flush());
  }

  /** Resolves when what most devices wait for is in the outbox; what takes longer follows by itself. */
  #readTelemetryInTurn(): Promise<void> {
    return new Promise((resolve) => {
      let emitted = 0;
      let hasNews = false;
      const emit = (news: TelemetryNews) => {
        this.#telemetryLane.answered();
        if (this.#addTelemetry("tick", news)) hasNews = true;
        if (emitted++ > 0) this.#flush();
        resolve();
      };
      this.#telemetryLane.read(this.#stopped.signal, () => this.#telemetry.tick(emit))
        .then((isRead) => {
          if (isRead !== null && !hasNews) this.#giveTurn();
          resolve();
        });
    });
  }

  async #readAlertsInTurn(): Promise<void> {
    this.#notified.satisfy();
    let isOvertaken = false;
    const news = await this.#alertLane.read(this.#stopped.signal, async () => {
      const news = await this.#readAlerts();
      isOvertaken = news === null;
      return news;
    });
    this.#addAlerts("tick", news);
    if (isOvertaken) this.#giveTurn();
    this.#notified.resume();
  }

  /** A read that began later has said it all, to those who waited for it: now the others look, as at every tick. */
  #giveTurn(): void {
    this.#outbox.addTurn();
    this.#flush();
  }

  async #readFirstDevices(target: readonly string[] | "all"): Promise<boolean> {
    if (this.#telemetryLane.isPaused) return false;
    await this.#telemetryLane.attempt(
      this.#stopped.signal,
      () =>
        this.#telemetry.first(target, (news) => {
          this.#addTelemetry("first", news);
          this.#flush();
        }),
    );
    return true;
  }

  async #readFirstAlerts(): Promise<void> {
    if (this.#alertLane.isPaused) return;
    const news = await this.#alertLane.attempt(
      this.#stopped.signal,
      () => this.#readAlerts(),
    );
    this.#addAlerts("first", news);
    this.#flush();
  }

  async #readAlerts(): Promise<AlertNews | null> {
    const seq = ++this.#seq;
    if (!this.#interest.needsWholeAlerts) return await this.#alerts.readCore(seq);
    const news = await this.#alerts.readWhole(seq);
    // Unfollowed while they were read: nobody else would forget them.
    if (!this.#interest.needsWholeAlerts) this.#alerts.forgetWhole();
    return news;
  }

  #addTelemetry(cause: Snapshot["cause"], { devices, batches, counts }: TelemetryNews): boolean {
    const fleet = this.#interest.followsFleet
      ? this.#fleet.take({ devices: counts, alerts: null })
      : null;
    // What only the fleet's followers asked for says nothing of devices that nobody named.
    const allReadAt = this.#interest.followsAll ? counts?.readAt ?? null : null;
    return this.#outbox.add({ cause, devices, batches, fleet, allReadAt });
  }

  #addAlerts(cause: Snapshot["cause"], news: AlertNews | null): void {
    if (news === null) return;
    const { state, counts } = news;
    const { seq, readAt } = state;
    const fleet = this.#interest.followsFleet && counts !== null
      ? this.#fleet.take({ devices: null, alerts: { ...counts, seq, readAt } })
      : null;
    this.#outbox.add({ cause, alerts: state, fleet });
  }

  #announce(): void {
    const statuses = [this.#telemetryLane, this.#alertLane].flatMap(({ status }) =>
      status?.state === "degraded" ? [status] : []
    );
    this.#outbox.add({ cause: "tick", statuses });
    this.#flush();
  }

  #flush(): void {
    if (!this.#stopped.signal.aborted) this.#outbox.flush();
  }
}
