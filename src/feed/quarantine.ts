// Finds the devices that make a whole query fail and sets them aside for a while, so that the others are read; it knows
// nothing of what is read.
import type { Clock } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import { SourceError } from "../sources/source_error.ts";

export interface QuarantineOptions {
  readonly tenantId: string;
  readonly clock: Clock;
  readonly log: Log;
  /** How long a device that spoiled a query is left out. */
  readonly quarantineMs: number;
}

/** Queries that one read may spend on finding the devices that spoil it: enough for one among 10,000. */
const MAX_ISOLATION_READS = 32;

interface Search {
  /** Devices that a query was accepted with. */
  readCount: number;
  /** Devices that spoiled a query all by themselves. */
  readonly spoilers: Map<string, SourceError>;
  readsLeft: number;
}

export class Quarantine {
  readonly #options: QuarantineOptions;
  readonly #until = new Map<string, number>();

  constructor(options: QuarantineOptions) {
    this.#options = options;
  }

  isSetAside(deviceId: string): boolean {
    return (this.#until.get(deviceId) ?? -Infinity) > this.#options.clock.monotonicNow();
  }

  forget(deviceId: string): void {
    this.#until.delete(deviceId);
  }

  /**
   * Calls `query` for the devices that are not set aside: for all of them, and where the database refuses that, for
   * fewer at a time. Returns false when there was nothing to be learned: every device is set aside. Throws what the
   * query threw when none was accepted, or when it failed for another reason.
   */
  async read(
    deviceIds: readonly string[],
    query: (deviceIds: readonly string[]) => Promise<void>,
  ): Promise<boolean> {
    const wanted = deviceIds.filter((id) => !this.isSetAside(id));
    if (wanted.length === 0) return false;
    const search: Search = { readCount: 0, spoilers: new Map(), readsLeft: MAX_ISOLATION_READS };
    await this.#readInto(search, wanted, query);
    this.#setAside(search, wanted);
    return search.spoilers.size < wanted.length;
  }

  async #readInto(
    search: Search,
    deviceIds: readonly string[],
    query: (deviceIds: readonly string[]) => Promise<void>,
  ): Promise<void> {
    if (search.readsLeft <= 0) return;
    search.readsLeft--;
    try {
      await query(deviceIds);
      search.readCount += deviceIds.length;
    } catch (error) {
      if (!(error instanceof SourceError) || error.kind !== "rejected") throw error;
      const [only] = deviceIds;
      if (deviceIds.length === 1 && only !== undefined) {
        search.spoilers.set(only, error);
        return;
      }
      const half = deviceIds.length >> 1;
      await this.#readInto(search, deviceIds.slice(0, half), query);
      await this.#readInto(search, deviceIds.slice(half), query);
    }
  }

  #setAside({ readCount, spoilers, readsLeft }: Search, wanted: readonly string[]): void {
    const [error] = spoilers.values();
    if (error === undefined) return;
    const isNothingRead = readCount === 0 && wanted.length > 1;
    // When no query at all is accepted it is not the devices' doing; when the search ended first nobody knows yet,
    // and setting aside what it found brings the next one further.
    if (isNothingRead && readsLeft > 0) throw error;
    const { clock, log, quarantineMs, tenantId } = this.#options;
    // A first read beside a tick's finds the same ones.
    const isTold = spoilers.keys().every((id) => this.isSetAside(id));
    for (const deviceId of this.#until.keys()) {
      if (!this.isSetAside(deviceId)) this.#until.delete(deviceId);
    }
    for (const deviceId of spoilers.keys()) {
      this.#until.set(deviceId, clock.monotonicNow() + quarantineMs);
    }
    if (!isTold) {
      log.warning("devices_set_aside", {
        tenant: tenantId,
        devices: [...spoilers.keys()].slice(0, 5),
        count: spoilers.size,
        for_ms: quarantineMs,
        error,
      });
    }
    if (isNothingRead) throw error;
  }
}
