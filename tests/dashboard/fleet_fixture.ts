// Devices in memory that can be made to report now, for pages whose clock is the real one.
import type { MetricValue, Sample } from "../../src/protocol/server_messages.ts";
import { type FakeSources, fakeSources } from "../support/fake_sources.ts";

/** A sample of so many seconds ago. */
export function sampleAgo(seconds: number, metrics: Record<string, MetricValue>): Sample {
  const instant = new Date(Date.now() - seconds * 1_000).toISOString();
  return { timestamp: instant.replace("Z", "000000Z"), metrics };
}

export interface ReportingFleet extends Disposable {
  readonly sources: FakeSources;
  /** Values are counted up, so that each is another one. */
  report(deviceId: string, metrics?: Record<string, MetricValue>): Sample;
  /** Lets the device report until disposed, each time once: a machine that was slow makes no gap. */
  keepReporting(deviceId: string, everyMs: number): void;
}

export function reportingFleet(): ReportingFleet {
  const sources = fakeSources();
  const timers: ReturnType<typeof setInterval>[] = [];
  let count = 0;
  const fleet: ReportingFleet = {
    sources,
    report(deviceId, metrics = { temp_c: 20 + count++ / 10, door_open: false, mode: "auto" }) {
      const sample = sampleAgo(0, metrics);
      sources.put("acme", deviceId, sample);
      return sample;
    },
    keepReporting(deviceId, everyMs) {
      let dueAt = Date.now();
      const timer = setInterval(() => {
        for (; dueAt <= Date.now(); dueAt += everyMs) {
          const metrics = { temp_c: 20 + (count++ % 50) / 10, door_open: false, mode: "auto" };
          sources.put("acme", deviceId, sampleAgo((Date.now() - dueAt) / 1_000, metrics));
        }
      }, everyMs);
      timers.push(timer);
    },
    [Symbol.dispose]() {
      for (const timer of timers) clearInterval(timer);
    },
  };
  return fleet;
}
