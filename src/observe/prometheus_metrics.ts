// The numbers as Prometheus reads them: what rooms told is kept as it comes, what can be looked at is looked at when
// somebody asks. Every series belongs to the app that made it; there is no registry of the process.
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { MetricFamilies } from "./merged_metrics.ts";
import type { FeedUsage, Measured, MeteredSource, Metrics, Sent, Transport } from "./metrics.ts";
import { type MetricDefinition, type MetricName, METRICS } from "./metric_table.ts";

export interface PrometheusMetricsOptions {
  readonly version: string;
  /** Adds the label `tenant` where the table says so: a series a tenant. */
  readonly hasTenantLabel: boolean;
  readonly memory?: () => Deno.MemoryUsage;
  readonly now?: () => number;
}

const SOURCES: readonly MeteredSource[] = ["telemetry", "alerts"];
const TRANSPORTS: readonly Transport[] = ["websocket", "events"];
/** Peers may close with thousands of codes; those that RFC 6455 and this service know have a series. */
const KNOWN_CODES = new Set(
  [1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 4001, 4003, 4008],
);

export class PrometheusMetrics implements Metrics {
  readonly #registry = new Registry();
  readonly #options: PrometheusMetricsOptions;
  readonly #made = new Map<MetricName, Counter | Gauge | Histogram>();
  readonly #lateness: Histogram;
  readonly #freshness: Histogram;
  readonly #readDevices: Histogram;
  readonly #loopLag: Histogram;
  readonly #reads: Readonly<Record<MeteredSource, Counter.Internal>>;
  readonly #durations: Readonly<Record<MeteredSource, Histogram.Internal<string>>>;
  /** Counted where every push comes by: a plain addition each. */
  readonly #sums = { ticks: 0, frames: 0, bytes: 0, encoded: 0, missed: 0 };
  #measured: Partial<Measured> = {};

  constructor(options: PrometheusMetricsOptions) {
    this.#options = options;
    for (const name of Object.keys(METRICS) as MetricName[]) this.#made.set(name, this.#make(name));
    this.#lateness = this.#histogram("pulsewire_tick_lateness_seconds");
    this.#freshness = this.#histogram("pulsewire_freshness_seconds");
    this.#readDevices = this.#histogram("pulsewire_read_devices");
    this.#loopLag = this.#histogram("pulsewire_event_loop_lag_seconds");
    const reads = this.#counter("pulsewire_reads_total");
    const durations = this.#histogram("pulsewire_read_duration_seconds");
    this.#reads = { telemetry: reads.labels("telemetry"), alerts: reads.labels("alerts") };
    this.#durations = {
      telemetry: durations.labels("telemetry"),
      alerts: durations.labels("alerts"),
    };
    for (const source of SOURCES) this.#reads[source].inc(0);
    this.#counter("pulsewire_handshakes_total").inc({ outcome: "admitted" }, 0);
    const { now = Date.now, version } = options;
    this.#gauge("pulsewire_start_time_seconds").set(now() / 1_000);
    this.#gauge("pulsewire_build_info").set({ version }, 1);
  }

  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;

  /** Names what is looked at whenever somebody asks; what another thread has is not named. */
  watch(measured: Partial<Measured>): void {
    this.#measured = measured;
  }

  /** All numbers as they are now, for whoever puts those of several threads together. */
  async families(): Promise<MetricFamilies> {
    this.#look();
    return await this.#registry.getMetricsAsJSON();
  }

  /** All numbers as they are now, in Prometheus' text format. */
  async text(): Promise<string> {
    this.#look();
    return await this.#registry.metrics();
  }

  ticked(lateMs: number): void {
    this.#sums.ticks++;
    this.#lateness.observe(Math.max(0, lateMs) / 1_000);
  }

  read(
    source: MeteredSource,
    { durationMs, fault }: { readonly durationMs: number; readonly fault: string | null },
  ): void {
    this.#reads[source].inc();
    this.#durations[source].observe(durationMs / 1_000);
    if (fault !== null) this.#counter("pulsewire_read_errors_total").inc({ source, fault });
  }

  readDevices(count: number): void {
    this.#readDevices.observe(count);
  }

  listensAgain(): void {
    this.#counter("pulsewire_listen_reconnects_total").inc();
  }

  handshake(outcome: string): void {
    this.#counter("pulsewire_handshakes_total").inc({ outcome });
  }

  closed(code: number): void {
    this.#counter("pulsewire_closes_total").inc({ code: KNOWN_CODES.has(code) ? code : "other" });
  }

  missedTick(): void {
    this.#sums.missed++;
  }

  sent({ frames, bytes }: Sent): void {
    this.#sums.frames += frames;
    this.#sums.bytes += bytes;
  }

  encoded(frames: number): void {
    this.#sums.encoded += frames;
  }

  freshness(ageMs: number): void {
    this.#freshness.observe(Math.max(0, ageMs) / 1_000);
  }

  loopLag(lateMs: number): void {
    this.#loopLag.observe(Math.max(0, lateMs) / 1_000);
  }

  fault(): void {
    this.#counter("pulsewire_uncaught_exceptions_total").inc();
  }

  /** Brings up to date what nobody tells of. */
  #look(): void {
    const { ticks, frames, bytes, encoded, missed } = this.#sums;
    this.#total("pulsewire_ticks_total", ticks);
    this.#total("pulsewire_sent_frames_total", frames);
    this.#total("pulsewire_sent_bytes_total", bytes);
    this.#total("pulsewire_encoded_frames_total", encoded);
    this.#total("pulsewire_missed_ticks_total", missed);
    const { memory = Deno.memoryUsage } = this.#options;
    const { rss, heapUsed, heapTotal, external } = memory();
    const kinds = { rss, heap_used: heapUsed, heap_total: heapTotal, external };
    for (const [kind, size] of Object.entries(kinds)) {
      this.#gauge("pulsewire_memory_bytes").set({ kind }, size);
    }
    this.#lookAt(this.#measured);
  }

  #lookAt({ tenants, feeds, sources, hearing, crossings }: Partial<Measured>): void {
    if (tenants !== undefined) this.#lookAtTenants(tenants());
    if (feeds !== undefined) this.#lookAtFeeds(feeds());
    const states = sources?.();
    for (const source of states === undefined ? [] : SOURCES) {
      const isDegraded = states?.[source].state === "degraded";
      this.#gauge("pulsewire_source_degraded").set({ source }, isDegraded ? 1 : 0);
    }
    const isHearing = hearing?.() ?? null;
    if (isHearing === null) this.#gauge("pulsewire_listening").remove({});
    else this.#gauge("pulsewire_listening").set(isHearing ? 1 : 0);
    if (crossings === undefined) return;
    const crossed = this.#counter("pulsewire_limit_crossings_total");
    crossed.reset();
    for (const [limit, times] of crossings()) crossed.inc({ limit }, times);
  }

  #lookAtFeeds({ feeds, snapshotAgeMs, stretch }: FeedUsage): void {
    this.#gauge("pulsewire_feeds").set(feeds);
    for (const source of SOURCES) {
      this.#gauge("pulsewire_interval_stretch_ratio").set({ source }, stretch[source]);
      const ageSeconds = snapshotAgeMs[source] / 1_000;
      this.#gauge("pulsewire_snapshot_age_seconds").set({ source }, ageSeconds);
    }
  }

  #lookAtTenants(
    tenants: Iterable<{
      readonly tenantId: string;
      readonly connections: Readonly<Record<string, number>>;
      readonly subscriptions: Readonly<Record<string, number>>;
    }>,
  ): void {
    const connections = this.#gauge("pulsewire_connections");
    const subscriptions = this.#gauge("pulsewire_subscriptions");
    // A tenant that left must not be shown for ever with what it had.
    connections.reset();
    subscriptions.reset();
    if (!this.#options.hasTenantLabel) {
      for (const transport of TRANSPORTS) connections.set({ transport }, 0);
      for (const kind of ["device", "all_devices", "alerts", "fleet"]) {
        subscriptions.set({ kind }, 0);
      }
    }
    for (const { tenantId, ...usage } of tenants) {
      const tenant = this.#options.hasTenantLabel ? { tenant: tenantId } : {};
      for (const [transport, count] of Object.entries(usage.connections)) {
        connections.inc({ transport, ...tenant }, count);
      }
      for (const [kind, count] of Object.entries(usage.subscriptions)) {
        subscriptions.inc({ kind, ...tenant }, count);
      }
    }
  }

  #make(name: MetricName): Counter | Gauge | Histogram {
    const { type, help, labels, isPerTenant, buckets, merged = "sum" }: MetricDefinition =
      METRICS[name];
    const hasTenant = isPerTenant === true && this.#options.hasTenantLabel;
    const labelNames = hasTenant ? [...labels, "tenant"] : [...labels];
    const registers = [this.#registry];
    const options = { name, help, labelNames, registers, aggregator: merged };
    switch (type) {
      case "counter":
        return new Counter(options);
      case "gauge":
        return new Gauge(options);
      case "histogram":
        return new Histogram({ ...options, buckets: [...buckets ?? []] });
    }
  }

  #counter(name: MetricName): Counter {
    return this.#made.get(name) as Counter;
  }

  #gauge(name: MetricName): Gauge {
    return this.#made.get(name) as Gauge;
  }

  #histogram(name: MetricName): Histogram {
    return this.#made.get(name) as Histogram;
  }

  /** Sets a counter to a sum that was kept elsewhere. */
  #total(name: MetricName, value: number): void {
    const counter = this.#counter(name);
    counter.reset();
    counter.inc(value);
  }
}
