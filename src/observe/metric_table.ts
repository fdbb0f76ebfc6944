// Every metric with its type, help, labels and buckets, in one place; nobody else may name a metric.

export interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
  /** Whether METRICS_TENANT_LABEL adds the label `tenant`. */
  readonly isPerTenant?: boolean;
  /** How what several threads say becomes one; they are added where nothing is said. */
  readonly merged?: "sum" | "min" | "max";
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
const FRESHNESS = [0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 30, 60, 300] as const;
const DEVICES = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000] as const;

export const METRICS = {
  pulsewire_connections: {
    type: "gauge",
    help: "Open connections, by transport (websocket, events)",
    labels: ["transport"],
    isPerTenant: true,
  },
  pulsewire_subscriptions: {
    type: "gauge",
    help: "Subscriptions that clients hold, by kind (device, all_devices, alerts, fleet)",
    labels: ["kind"],
    isPerTenant: true,
  },
  pulsewire_feeds: {
    type: "gauge",
    help: "Tenants whose feed runs, those that linger after their last connection included",
    labels: [],
  },
  pulsewire_ticks_total: { type: "counter", help: "Ticks of all feeds", labels: [] },
  pulsewire_tick_lateness_seconds: {
    type: "histogram",
    help: "How long after it was due a tick began",
    labels: [],
    buckets: SECONDS,
  },
  pulsewire_reads_total: {
    type: "counter",
    help: "Reads of a source that ended, whatever came of them",
    labels: ["source"],
  },
  pulsewire_read_errors_total: {
    type: "counter",
    help:
      "Reads that failed, by fault (unavailable, denied, missing, rejected, other); those refused while a source " +
      "is waited for and those that nobody wanted any more are not counted",
    labels: ["source", "fault"],
  },
  pulsewire_read_duration_seconds: {
    type: "histogram",
    help: "Time a read took, without its wait for a turn",
    labels: ["source"],
    buckets: SECONDS,
  },
  pulsewire_read_devices: {
    type: "histogram",
    help: "Devices whose newest samples one read asked for, or brought where it asked for all",
    labels: [],
    buckets: DEVICES,
  },
  pulsewire_source_degraded: {
    type: "gauge",
    help: "1 from when a source fails for everybody until a read of it works again, 0 otherwise",
    labels: ["source"],
  },
  pulsewire_interval_stretch_ratio: {
    type: "gauge",
    help:
      "Greatest factor by which slow reads stretch a tenant's poll interval; 1 while they don't",
    labels: ["source"],
  },
  pulsewire_snapshot_age_seconds: {
    type: "gauge",
    help: "Greatest time since a source was last read for a tenant that follows it",
    labels: ["source"],
  },
  pulsewire_freshness_seconds: {
    type: "histogram",
    help:
      "Age of the newest sample of a push, from its instant in the database to its sending; pushes without a new " +
      "sample are not counted",
    labels: [],
    buckets: FRESHNESS,
  },
  pulsewire_sent_frames_total: {
    type: "counter",
    help: "Messages handed to sockets and event streams",
    labels: [],
  },
  pulsewire_sent_bytes_total: {
    type: "counter",
    help: "Bytes of JSON handed to sockets and event streams, without framing",
    labels: [],
  },
  pulsewire_encoded_frames_total: {
    type: "counter",
    help: "Messages made into JSON; the others that were sent shared one of these",
    labels: [],
  },
  pulsewire_missed_ticks_total: {
    type: "counter",
    help: "Pushes left out because a client's socket was full",
    labels: [],
  },
  pulsewire_closes_total: {
    type: "counter",
    help: "Connections that ended, by close code; a code that has no meaning here is other",
    labels: ["code"],
  },
  pulsewire_handshakes_total: {
    type: "counter",
    help: "Handshakes of sockets and event streams, by outcome (admitted, or the refusal's name)",
    labels: ["outcome"],
  },
  pulsewire_limit_crossings_total: {
    type: "counter",
    help:
      "How often a limit was crossed, by the limit's name; open_alerts and fleet_devices, which cut a list, at each read",
    labels: ["limit"],
  },
  pulsewire_listen_reconnects_total: {
    type: "counter",
    help: "How often the connection that hears PostgreSQL's notifications was lost and made again",
    labels: [],
  },
  pulsewire_listening: {
    type: "gauge",
    help:
      "1 while the connection that hears PostgreSQL's notifications is there, 0 while it is not; without " +
      "ALERT_NOTIFY_CHANNEL there is no series",
    labels: [],
  },
  pulsewire_uncaught_exceptions_total: {
    type: "counter",
    help: "Exceptions that only the process's guard caught; each is a fault in the service",
    labels: [],
  },
  pulsewire_event_loop_lag_seconds: {
    type: "histogram",
    help: "How late the event loop came to a timer that is due every 50 ms",
    labels: [],
    buckets: SECONDS,
  },
  pulsewire_memory_bytes: {
    type: "gauge",
    help: "Memory of the process, by kind (rss, heap_used, heap_total, external)",
    labels: ["kind"],
  },
  pulsewire_start_time_seconds: {
    type: "gauge",
    help: "When the service started, in seconds since the epoch",
    labels: [],
    merged: "min",
  },
  pulsewire_build_info: {
    type: "gauge",
    help: "Always 1; the label says which version runs",
    labels: ["version"],
    merged: "max",
  },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;
