// What every suite of telemetry sources stands on: a database that is filled by points, with a source on it. It must know
// no database.
import type { TelemetrySource } from "../../src/sources/telemetry_source.ts";

export interface TelemetryPoint {
  /** Empty: the point is of no device. */
  readonly deviceId: string;
  readonly siteId?: string;
  /** RFC3339, up to nine fractional digits. */
  readonly timestamp: string;
  /** A bigint is an integer field, a number a double. */
  readonly metrics: Readonly<Record<string, number | string | boolean | bigint>>;
}

export interface TelemetrySourceOptions {
  readonly lookbackMs?: number;
  readonly futureMs?: number;
  readonly metadataKeys?: readonly string[];
}

export interface TelemetryFixture extends AsyncDisposable {
  /** Writes points for a tenant and creates its bucket or rows where there are none; no points make an empty tenant. */
  write(tenantId: string, points: readonly TelemetryPoint[]): Promise<void>;
  /** Made for the process's own clock; without options: 6 h back, 60 s ahead, `time, device_id, site_id, seq` dropped. */
  source(options?: TelemetrySourceOptions): TelemetrySource;
  /** Digits after the second that the database keeps. */
  readonly precision: 6 | 9;
  /** What a read for a tenant that was never written gives. */
  readonly unknownTenant: "missing" | "empty";
}

export type Step = (fixture: TelemetryFixture, tenantId: string) => Promise<void>;

export interface StepsOptions {
  readonly name: string;
  readonly open: () => Promise<TelemetryFixture>;
  readonly ignore?: boolean | undefined;
  /** By the behaviour that each proves. */
  readonly steps: Readonly<Record<string, Step>>;
  /** A letter that tenants of this suite begin with. */
  readonly prefix: string;
}

/** Registers one test with a step for each behaviour; every step has a tenant of its own. */
export function registerSteps({ name, open, ignore = false, steps, prefix }: StepsOptions): void {
  Deno.test({
    name,
    ignore,
    async fn(t) {
      await using fixture = await open();
      const run = crypto.randomUUID().slice(0, 8);
      for (const [index, [behaviour, step]] of Object.entries(steps).entries()) {
        await t.step(behaviour, () => step(fixture, `${prefix}${run}-${index}`));
      }
    },
  });
}
