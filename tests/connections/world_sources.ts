// Databases in memory that hold every read against what the model says is followed, and fail or hang when told.
import type { AlertSource } from "../../src/sources/alert_source.ts";
import type { SourceError } from "../../src/sources/source_error.ts";
import type { TelemetrySource } from "../../src/sources/telemetry_source.ts";
import type { FakeSources } from "../support/fake_sources.ts";
import type { Client, Violated } from "./world_client.ts";

export type SourceName = "telemetry" | "alerts";

/** Where the reads of a feed end; those of histories end at the latest instant that there may be. */
const END_OF_TIME = "9999-12-31T23:59:59.999999999Z";

interface Read {
  readonly tenantId: string;
  readonly signal: AbortSignal;
}

export class WatchedSources {
  readonly #connected: (tenantId: string) => readonly Client[];
  readonly #violated: Violated;
  readonly #faults = new Map<string, SourceError>();
  readonly #holds = new Map<SourceName, PromiseWithResolvers<void>>();

  constructor({ connected, violated }: {
    readonly connected: (tenantId: string) => readonly Client[];
    readonly violated: Violated;
  }) {
    this.#connected = connected;
    this.#violated = violated;
  }

  get isHolding(): boolean {
    return this.#holds.size > 0;
  }

  fail(source: SourceName, { tenantId, error }: { tenantId: string; error: SourceError }): void {
    this.#faults.set(`${source}/${tenantId}`, error);
  }

  hold(source: SourceName): void {
    if (!this.#holds.has(source)) this.#holds.set(source, Promise.withResolvers());
  }

  release(source: SourceName): void {
    this.#holds.get(source)?.resolve();
    this.#holds.delete(source);
  }

  heal(): void {
    this.#faults.clear();
    this.release("telemetry");
    this.release("alerts");
  }

  wrap({ telemetry, alerts }: FakeSources): { telemetry: TelemetrySource; alerts: AlertSource } {
    return {
      telemetry: {
        readLatest: (query) => {
          if (query.deviceIds === "all") {
            const isWanted = ({ all, followsFleet }: Client) => all !== null || followsFleet;
            this.#require(query, { isWanted, what: "all devices" });
          } else this.#requireDevices(query, query.deviceIds);
          return this.#answer("telemetry", query, telemetry.readLatest(query));
        },
        readRange: (query) => {
          if (query.until === END_OF_TIME) this.#requireDevices(query, query.deviceIds);
          else {
            // Of those that were asked for together one may have been left meanwhile.
            const isWanted = (client: Client) => query.deviceIds.some((id) => client.follows(id));
            this.#require(query, { isWanted, what: query.deviceIds.join() });
          }
          return this.#answer("telemetry", query, telemetry.readRange(query));
        },
        listDevices: (query) => {
          this.#require(query, { isWanted: ({ all }) => all !== null, what: "a list of devices" });
          return this.#answer("telemetry", query, telemetry.listDevices(query));
        },
      },
      alerts: {
        ...alerts,
        readOpen: (query) => {
          this.#require(query, { isWanted: ({ alerts }) => alerts !== null, what: "open alerts" });
          return this.#answer("alerts", query, alerts.readOpen(query));
        },
        readState: (query) => {
          const isWanted = ({ alerts, followsFleet }: Client) =>
            alerts?.mode === "changes" || followsFleet;
          this.#require(query, { isWanted, what: "all of the alerts" });
          return this.#answer("alerts", query, alerts.readState(query));
        },
      },
    };
  }

  #requireDevices(read: Read, deviceIds: readonly string[]): void {
    if (deviceIds.length === 0) this.#violated("a read of no device");
    for (const deviceId of deviceIds) {
      this.#require(read, { isWanted: (client) => client.follows(deviceId), what: deviceId });
    }
  }

  #require(
    { tenantId }: Read,
    { isWanted, what }: { readonly isWanted: (client: Client) => boolean; readonly what: string },
  ): void {
    if (this.#connected(tenantId).some(isWanted)) return;
    this.#violated(`a read of ${what} of ${tenantId}, which nobody follows`);
  }

  /** What the database says is settled when the read begins, however late the answer comes. */
  async #answer<Result>(
    source: SourceName,
    { tenantId, signal }: Read,
    result: Promise<Result>,
  ): Promise<Result> {
    const answer = await result;
    const hold = this.#holds.get(source)?.promise;
    if (hold !== undefined) {
      await Promise.race([
        hold,
        new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason), { once: true })
        ),
      ]);
    }
    const fault = this.#faults.get(`${source}/${tenantId}`);
    if (fault !== undefined) throw fault;
    return answer;
  }
}
