// Answers questions of single clients beside the ticks: behind the same guards, in fewer places. What a source can't
// say comes back as a value, never as an empty answer.
import type { Clock } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import { instantOfMs } from "../protocol/nano_instant.ts";
import type { SourceName } from "../protocol/server_messages.ts";
import type { Alert, AlertStateQuery, AlertStatus, AlertTableState } from "./alert_source.ts";
import type { Sources } from "./open_sources.ts";
import { SidePlaces } from "./side_places.ts";
import { SourceError } from "./source_error.ts";
import type { DevicesResult, RangeQuery, RangeResult, Sample } from "./telemetry_source.ts";

/** `unavailable`: nobody can be read now; `missing`: the tenant has nothing to read from; `busy`: too many ask at once. */
export type Refusal = "unavailable" | "missing" | "busy";

export type SideAnswer<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly refusal: Refusal; readonly retryAfterMs: number };

export interface SamplesAnswer {
  readonly samples: readonly Sample[];
  readonly isTruncated: boolean;
  /** Whether some stored samples could not be understood and are left out. */
  readonly isIncomplete: boolean;
}

export interface SideReadsOptions {
  readonly sources: Pick<Sources, "telemetry" | "alerts" | "state">;
  /** Reads that one source bears in all. */
  readonly maxReads: number;
  readonly lookbackMs: number;
  readonly futureMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends what is under way when the process goes. */
  readonly signal: AbortSignal;
}

export interface SideQuery {
  readonly tenantId: string;
  readonly signal: AbortSignal;
}

export type SideRange =
  & SideQuery
  & Pick<RangeQuery, "after" | "until" | "maxSamples" | "resolutionSeconds">
  & { readonly deviceId: string };

export type SideRanges = Omit<RangeQuery, keyof SideQuery>;

export type SideAlertState =
  & SideQuery
  & Pick<AlertStateQuery, "limit" | "changedSince" | "changedLimit" | "isCounted">;

/** What each question says of itself to the guard before its source. */
interface Aside {
  readonly signal: AbortSignal;
  readonly isAside: true;
}

/** Questions that wait for one source, of all tenants and of one. */
const MAX_WAITING = 256;
const MAX_PER_TENANT = 32;
const RETRY_MS = 5_000;
const BUSY_RETRY_MS = 1_000;

export class SideReads {
  readonly #options: SideReadsOptions;
  readonly #places: Readonly<Record<SourceName, SidePlaces>>;
  /** Sources and tenants that have nothing to read there, and until when nobody asks for them again. */
  readonly #missing = new Map<string, number>();

  constructor(options: SideReadsOptions) {
    this.#options = options;
    const line = {
      places: Math.max(1, Math.floor(options.maxReads / 2)),
      maxPerKey: MAX_PER_TENANT,
      maxWaiting: MAX_WAITING,
    };
    this.#places = { telemetry: new SidePlaces(line), alerts: new SidePlaces(line) };
  }

  /** The state of each source, without asking it. */
  states(): Readonly<Record<SourceName, "unknown" | "ok" | "degraded">> {
    const { telemetry, alerts } = this.#options.sources.state();
    return { telemetry: telemetry.state, alerts: alerts.state };
  }

  devices(query: SideQuery & { readonly limit: number }): Promise<SideAnswer<DevicesResult>> {
    const { telemetry } = this.#options.sources;
    return this.#answer(
      "telemetry",
      query,
      (aside) => telemetry.listDevices({ ...query, ...aside }),
    );
  }

  /** The newest samples of a device within the lookback, newest first; that there are older ones goes without saying. */
  async latest(
    { count, ...query }: SideQuery & { readonly deviceId: string; readonly count: number },
  ): Promise<SideAnswer<SamplesAnswer>> {
    const { clock, lookbackMs, futureMs } = this.#options;
    const now = clock.now();
    const answer = await this.samples({
      ...query,
      after: instantOfMs(now - lookbackMs),
      until: instantOfMs(now + futureMs),
      maxSamples: count,
      resolutionSeconds: null,
    });
    return answer.ok ? { ok: true, value: { ...answer.value, isTruncated: false } } : answer;
  }

  /** Samples of a device, newest first. */
  async samples({ deviceId, ...query }: SideRange): Promise<SideAnswer<SamplesAnswer>> {
    const { telemetry } = this.#options.sources;
    const answer = await this.#answer(
      "telemetry",
      query,
      (aside) =>
        telemetry.readRange({ ...query, deviceIds: [deviceId], order: "descending", ...aside }),
    );
    return answer.ok ? { ok: true, value: samplesOf(answer.value, deviceId) } : answer;
  }

  /** Samples of several devices: which, is asked when the read's turn has come. */
  ranges(query: SideQuery, ranges: () => SideRanges): Promise<SideAnswer<RangeResult>> {
    const { telemetry } = this.#options.sources;
    const { tenantId } = query;
    return this.#answer(
      "telemetry",
      query,
      (aside) => telemetry.readRange({ ...ranges(), tenantId, ...aside }),
    );
  }

  /** The open alerts, what changed lately and the counts. */
  alertState(query: SideAlertState): Promise<SideAnswer<AlertTableState>> {
    const { alerts } = this.#options.sources;
    return this.#answer("alerts", query, (aside) => alerts.readState({ ...query, ...aside }));
  }

  /** The newest first; one more than is wanted says whether there are more. */
  alerts(
    query: SideQuery & { readonly status: AlertStatus; readonly limit: number },
  ): Promise<SideAnswer<readonly Alert[]>> {
    const { alerts } = this.#options.sources;
    return this.#answer("alerts", query, (aside) => alerts.readAlerts({ ...query, ...aside }));
  }

  async #answer<Value>(
    source: SourceName,
    { tenantId, signal }: SideQuery,
    read: (aside: Aside) => Promise<Value>,
  ): Promise<SideAnswer<Value>> {
    const { clock } = this.#options;
    const missingMs = (this.#missing.get(`${source} ${tenantId}`) ?? 0) - clock.monotonicNow();
    if (missingMs > 0) return { ok: false, refusal: "missing", retryAfterMs: missingMs };
    const life = new AbortController();
    // Not a combined signal, which the process's own would keep for as long as it lives.
    const parents = [signal, this.#options.signal];
    const leave = () => life.abort(parents.find(({ aborted }) => aborted)?.reason);
    for (const parent of parents) parent.addEventListener("abort", leave, { once: true });
    try {
      if (parents.some(({ aborted }) => aborted)) leave();
      const answer = await this.#places[source].run(tenantId, {
        signal: life.signal,
        read: () => read({ signal: life.signal, isAside: true }),
      });
      return answer === null
        ? { ok: false, refusal: "busy", retryAfterMs: BUSY_RETRY_MS }
        : { ok: true, value: answer.value };
    } catch (error) {
      return this.#refusal({ source, tenantId }, error);
    } finally {
      for (const parent of parents) parent.removeEventListener("abort", leave);
    }
  }

  /** A query that is refused is our own fault, and a signal's reason nobody's: both go on. */
  #refusal(
    { source, tenantId }: { readonly source: SourceName; readonly tenantId: string },
    error: unknown,
  ): SideAnswer<never> {
    if (!(error instanceof SourceError) || error.kind === "rejected") throw error;
    const { clock, sources, log } = this.#options;
    log.debug("history_unavailable", { source, tenant: tenantId, error });
    if (error.kind === "missing") {
      const now = clock.monotonicNow();
      for (const [key, until] of this.#missing) if (until <= now) this.#missing.delete(key);
      this.#missing.set(`${source} ${tenantId}`, now + RETRY_MS);
      return { ok: false, refusal: "missing", retryAfterMs: RETRY_MS };
    }
    const { retryAt } = sources.state()[source];
    const retryAfterMs = retryAt === null ? RETRY_MS : Math.max(1_000, retryAt - clock.now());
    return { ok: false, refusal: "unavailable", retryAfterMs };
  }
}

function samplesOf(result: RangeResult, deviceId: string): SamplesAnswer {
  return {
    samples: result.samples.get(deviceId) ?? [],
    isTruncated: result.truncated.has(deviceId),
    isIncomplete: result.unreadable.has(deviceId),
  };
}
