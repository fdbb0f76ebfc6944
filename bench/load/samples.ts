// Samples as every bench writes them: their values follow from the sample's number and the device's, so that whoever
// receives one knows what must stand in it.
import type { Sample } from "../../src/sources/telemetry_source.ts";
import { stamp } from "./names.ts";

/** A sample as devices of a plant have it: nine metrics. */
export function sampleOf(
  { ms, n, device }: { readonly ms: number; readonly n: number; readonly device: number },
): Sample {
  return { timestamp: stamp(ms, n), metrics: metricsOf({ n, device }) };
}

export function metricsOf(
  { n, device }: { readonly n: number; readonly device: number },
): Record<string, number | string | boolean> {
  const turn = (n + device) % 1_000;
  return {
    temperature: 20 + turn / 50,
    humidity: 40 + turn / 100,
    pressure: 1_000 + turn / 10,
    vibration: turn / 1_000,
    voltage: 229.5 + turn / 2_000,
    current: turn / 300,
    power: turn * 0.75,
    running: turn % 7 !== 0,
    mode: turn % 3 === 0 ? "eco" : "normal",
  };
}
