// The suite of every telemetry source on real InfluxDBs of both lines; a server that is not there is said to be.
import { findInfluxd } from "../../support/influxd.ts";
import { rangeSuite } from "../range_suite.ts";
import { telemetrySuite } from "../telemetry_suite.ts";
import { findInfluxdb2, openInfluxd1Fixture, openInfluxdb2Fixture } from "./influx_fixtures.ts";

const influxd = findInfluxd();
const influxdb2 = findInfluxdb2();
const noInfluxdb2 = " (left out: INFLUXDB2_URL, INFLUXDB2_TOKEN and INFLUXDB2_ORG are not set)";

for (const [suite, what] of [[telemetrySuite, ""], [rangeSuite, ": ranges and lists"]] as const) {
  suite(
    `InfluxQL on a real InfluxDB 1.x${what}${
      influxd === null ? " (left out: influxd is not installed)" : ""
    }`,
    openInfluxd1Fixture,
    { ignore: influxd === null },
  );

  for (const [language, name] of [["influxql", "InfluxQL"], ["flux", "Flux"]] as const) {
    suite(
      `${name} on a real InfluxDB 2.x${what}${influxdb2 === null ? noInfluxdb2 : ""}`,
      () => {
        if (influxdb2 === null) {
          throw new Error("Cannot open InfluxDB 2.x: its settings are missing");
        }
        return openInfluxdb2Fixture(influxdb2, language);
      },
      { ignore: influxdb2 === null },
    );
  }
}
