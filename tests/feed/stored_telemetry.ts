// Telemetry in memory with the bounds of a real one: samples are stored at one time and taken at another, reads take time
// and see what was stored when the database came to them.
import { instantOfMs } from "../../src/protocol/nano_instant.ts";
import { RangeCollector } from "../../src/sources/range_collector.ts";
import type { RangeQuery, Sample, TelemetrySource } from "../../src/sources/telemetry_source.ts";
import type { FakeClock } from "../support/fake_clock.ts";

export const FUTURE_MS = 60_000;

export type ReadKind = "latest" | "range" | "list";

export class StoredTelemetry implements TelemetrySource {
  readonly #clock: FakeClock;
  readonly #stored = new Map<string, Map<string, Sample>>();
  #count = 0;
  /** How long a read takes, and whether it sees what is stored while it is under way. */
  readMs = 0;
  seesEnd = false;
  /** What a read of some devices does instead of answering; it may also say how long that takes. */
  fault: ((kind: ReadKind, deviceIds: readonly string[] | "all") => Error | null) | null = null;
  readonly ranges: RangeQuery[] = [];
  readonly latest: (readonly string[] | "all")[] = [];
  readonly lists: number[] = [];
  /** When reads of all devices were answered. */
  readonly allReadAt: number[] = [];
  readonly unreadable = new Set<string>();

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  /** Stores a sample taken so long before now, or ahead of it where negative; returns its timestamp. */
  store(deviceId: string, { ageMs = 0 }: { readonly ageMs?: number } = {}): string {
    return this.storeAt(deviceId, instantOfMs(this.#clock.now() - ageMs));
  }

  /** Stores a sample; what is stored of the same instant already is written over. */
  storeAt(deviceId: string, timestamp: string): string {
    const samples = this.#stored.get(deviceId) ?? new Map<string, Sample>();
    this.#stored.set(deviceId, samples);
    samples.set(timestamp, { timestamp, metrics: { count: ++this.#count } });
    return timestamp;
  }

  remove(deviceId: string): void {
    this.#stored.delete(deviceId);
  }

  has(deviceId: string, timestamp: string): boolean {
    return this.#stored.get(deviceId)?.has(timestamp) ?? false;
  }

  /** Forgets the reads so far. */
  forget(): void {
    for (const ledger of [this.ranges, this.latest, this.lists]) ledger.length = 0;
  }

  async readLatest({ deviceIds }: Parameters<TelemetrySource["readLatest"]>[0]) {
    this.latest.push(deviceIds);
    const result = await this.#serve("latest", deviceIds, () => {
      const wanted = deviceIds === "all" ? [...this.#stored.keys()] : deviceIds;
      const samples = new Map<string, Sample>();
      for (const deviceId of wanted) {
        const newest = this.#visible(deviceId).at(-1);
        if (newest !== undefined && !this.unreadable.has(deviceId)) samples.set(deviceId, newest);
      }
      const unreadable = wanted.filter((id) => this.unreadable.has(id));
      return { samples, unreadable: new Map(unreadable.map((id) => [id, "Not an object"])) };
    });
    if (deviceIds === "all") this.allReadAt.push(this.#clock.now());
    return result;
  }

  async readRange(query: RangeQuery) {
    this.ranges.push(query);
    return await this.#serve("range", query.deviceIds, () => {
      const collector = new RangeCollector(query);
      for (const deviceId of query.deviceIds) {
        for (const sample of this.#visible(deviceId)) {
          const isWithin = sample.timestamp > query.after && sample.timestamp <= query.until;
          if (isWithin) collector.add(deviceId, sample);
        }
      }
      return collector.result();
    });
  }

  async listDevices({ limit }: Parameters<TelemetrySource["listDevices"]>[0]) {
    this.lists.push(limit);
    return await this.#serve("list", "all", () => {
      const devices = [...this.#stored.keys()]
        .flatMap((device_id) => {
          const last = this.#visible(device_id).at(-1)?.timestamp;
          return last === undefined ? [] : [{ device_id, last }];
        })
        .sort((a, b) => a.last < b.last ? 1 : -1);
      return { devices: devices.slice(0, limit), truncated: devices.length > limit };
    });
  }

  #visible(deviceId: string): readonly Sample[] {
    const bound = instantOfMs(this.#clock.now() + FUTURE_MS);
    return [...this.#stored.get(deviceId)?.values() ?? []]
      .filter(({ timestamp }) => timestamp <= bound)
      .sort((a, b) => a.timestamp < b.timestamp ? -1 : 1);
  }

  async #serve<T>(
    kind: ReadKind,
    deviceIds: readonly string[] | "all",
    see: () => T,
  ): Promise<T> {
    const error = this.fault?.(kind, deviceIds) ?? null;
    const { readMs, seesEnd } = this;
    const early = error === null && !seesEnd ? see() : null;
    if (readMs > 0) {
      await new Promise<void>((resolve) => void this.#clock.setTimeout(resolve, readMs));
    }
    if (error !== null) throw error;
    return early ?? see();
  }
}
