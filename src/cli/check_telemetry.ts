// Checks that telemetry can be read in each way as one tenant; it must read no more than a page would.
import { instantOfMs } from "../protocol/nano_instant.ts";
import type { SourceCheck } from "../sources/source_check.ts";
import { SourceError } from "../sources/source_error.ts";
import type { TelemetrySource } from "../sources/telemetry_source.ts";
import { type CheckContext, NAME_A_TENANT, NO_TENANT } from "./check_context.ts";
import { fault, isAway, ok, skipped, type Verdict } from "./verdict.ts";

export interface TelemetryChecks {
  readonly telemetry: TelemetrySource;
  /** What the database said of itself. */
  readonly reached: SourceCheck;
}

const READS = ["telemetry devices", "telemetry latest", "telemetry range"] as const;
const MAX_DEVICES = 1_000;
const MAX_SAMPLES = 100;
/** Milliseconds of the range that is read. */
const RANGE_MS = 15 * 60_000;
/** What a device is called where the tenant has none: a range of nothing is still read. */
const NO_DEVICE = "pulsewire-check";

export async function* checkTelemetry(
  context: CheckContext,
  { telemetry, reached }: TelemetryChecks,
): AsyncGenerator<Verdict> {
  const { config, tenantId, signal } = context;
  if (!reached.ok) {
    yield fault("telemetry", reached.message, reachCure(context, reached.kind));
    for (const name of READS) yield skipped(name, "telemetry can't be read");
    return;
  }
  const said = config.TELEMETRY_SOURCE === "influxdb"
    ? `InfluxDB (${config.INFLUXDB_QUERY}) answers and takes the credentials`
    : `PostgreSQL lets ${config.TELEMETRY_TABLE} be read, and shows it to no one who is no tenant`;
  yield ok("telemetry", said);
  if (tenantId === null) {
    for (const name of READS) yield skipped(name, NO_TENANT, NAME_A_TENANT);
    return;
  }
  let deviceId = NO_DEVICE;
  const reads: Readonly<Record<(typeof READS)[number], () => Promise<string>>> = {
    "telemetry devices": async () => {
      const { devices } = await telemetry.listDevices({ tenantId, limit: MAX_DEVICES, signal });
      deviceId = devices[0]?.device_id ?? NO_DEVICE;
      return devices.length === 0
        ? `no device of ${tenantId} has reported within TELEMETRY_LOOKBACK`
        : `${devices.length} of ${tenantId}, the newest sample is of ${devices[0]?.last}`;
    },
    "telemetry latest": async () => {
      const found = await telemetry.readLatest({ tenantId, deviceIds: "all", signal });
      return withUnreadable(`${found.samples.size} samples`, found.unreadable);
    },
    "telemetry range": async () => {
      const now = context.clock.now();
      const found = await telemetry.readRange({
        tenantId,
        deviceIds: [deviceId],
        after: instantOfMs(now - RANGE_MS),
        until: instantOfMs(now),
        maxSamples: MAX_SAMPLES,
        order: "descending",
        resolutionSeconds: null,
        signal,
      });
      const count = found.samples.get(deviceId)?.length ?? 0;
      return withUnreadable(`${count} samples of one device in 15 minutes`, found.unreadable);
    },
  };
  let isLost = false;
  for (const name of READS) {
    if (isLost) {
      yield skipped(name, "telemetry can't be read");
      continue;
    }
    try {
      yield ok(name, await reads[name]());
    } catch (error) {
      isLost = isAway(error);
      yield fault(name, error, readCure(context, error));
    }
  }
}

function withUnreadable(found: string, unreadable: ReadonlyMap<string, string>): string {
  const [first] = unreadable;
  if (first === undefined) return found;
  const [deviceId, reason] = first;
  throw new SourceError(
    "rejected",
    `${unreadable.size} devices can't be understood, the first is ${deviceId}: ${reason}`,
  );
}

function reachCure({ config }: CheckContext, kind: SourceError["kind"]): string {
  if (config.TELEMETRY_SOURCE === "postgres") {
    return "see the verdict on postgres; TELEMETRY_TABLE must be as sql/ makes it";
  }
  return kind === "denied"
    ? "INFLUXDB_TOKEN, or INFLUXDB_USERNAME and INFLUXDB_PASSWORD, and INFLUXDB_ORG must be right"
    : "INFLUXDB_URL must be right and reachable from here";
}

function readCure({ config, tenantId }: CheckContext, error: unknown): string {
  const kind = error instanceof SourceError ? error.kind : "unavailable";
  if (config.TELEMETRY_SOURCE === "postgres") {
    return kind === "unavailable"
      ? "READ_TIMEOUT_SECONDS may be too low, or the table lacks the indexes of sql/01_schema.sql"
      : "TELEMETRY_TABLE must be as sql/ makes it";
  }
  switch (kind) {
    case "missing":
      return `create the bucket or database ${
        config.INFLUXDB_BUCKET.replaceAll("{tenant}", tenantId ?? "")
      } and let the credentials read it, or correct INFLUXDB_BUCKET`;
    case "denied":
      return "the credentials must be allowed to read the tenant's bucket";
    case "rejected":
      return "compare INFLUXDB_MEASUREMENT, INFLUXDB_DEVICE_TAG and INFLUXDB_QUERY with what is stored";
    case "unavailable":
      return "READ_TIMEOUT_SECONDS or TELEMETRY_LOOKBACK may not suit the amount of data";
  }
}
