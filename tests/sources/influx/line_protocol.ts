// Writes points in InfluxDB's line protocol; it must escape by its rules and change no value.
import type { TelemetryPoint } from "../telemetry_fixture.ts";

export function lineProtocol(points: readonly TelemetryPoint[]): string {
  return points.map(line).join("\n");
}

function line({ deviceId, siteId, timestamp, metrics }: TelemetryPoint): string {
  const tags = Object.entries({ device_id: deviceId, site_id: siteId ?? "" })
    .filter(([, value]) => value !== "")
    .map(([tag, value]) => `,${tag}=${name(value)}`);
  const fields = Object.entries(metrics).map(([key, value]) => `${name(key)}=${field(value)}`);
  return `telemetry${tags.join("")} ${fields.join(",")} ${nanoseconds(timestamp)}`;
}

function name(text: string): string {
  return text.replace(/[,= ]/g, (special) => `\\${special}`);
}

function field(value: number | string | boolean | bigint): string {
  if (typeof value === "bigint") return `${value}i`;
  if (typeof value === "string") return `"${value.replace(/["\\]/g, (special) => `\\${special}`)}"`;
  return String(value);
}

function nanoseconds(timestamp: string): bigint {
  const [second = "", fraction = ""] = timestamp.slice(0, -1).split(".");
  return BigInt(Date.parse(`${second}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}
