// The databases that the loss suites run on, each with the reason for which it must be left out here, if there is one.
import assert from "node:assert/strict";
import { findInfluxdb2 } from "../sources/influx/influx_fixtures.ts";
import { findInfluxd } from "../support/influxd.ts";
import { findPostgres, type TestPostgres } from "../support/postgres.ts";
import { InfluxStore } from "./influx_store.ts";
import type { SampleStore } from "./sample_store.ts";
import { TableStore } from "./table_store.ts";

export interface Implementation {
  readonly name: string;
  /** Why it can't be run here; null where it can. */
  readonly missing: string | null;
  /** The alerts are always in PostgreSQL, whatever holds the samples. */
  readonly open: (postgres: TestPostgres) => Promise<SampleStore>;
}

const influxdb2 = findInfluxdb2();
const noInfluxdb2 = "INFLUXDB2_URL, INFLUXDB2_TOKEN and INFLUXDB2_ORG are not set";
const noPostgres = findPostgres() === null ? "PostgreSQL is not installed" : null;

export const IMPLEMENTATIONS: readonly Implementation[] = [
  {
    name: "InfluxDB 1.x in InfluxQL",
    missing: noPostgres ?? (findInfluxd() === null ? "influxd is not installed" : null),
    open: () => InfluxStore.openInfluxd(),
  },
  {
    name: "the telemetry table",
    missing: noPostgres,
    open: (postgres) => Promise.resolve(new TableStore(postgres)),
  },
  ...(["influxql", "flux"] as const).map((language) => ({
    name: `InfluxDB 2.x in ${language}`,
    missing: noPostgres ?? (influxdb2 === null ? noInfluxdb2 : null),
    open: () => {
      assert(influxdb2 !== null);
      return InfluxStore.openBucket(influxdb2, language);
    },
  })),
];
