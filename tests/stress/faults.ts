// Breaks the databases one way at a time and mends them again; it returns only when everything is mended.
import type { Random } from "../fuzz/seeded.ts";
import type { TestInfluxd } from "../support/influxd.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { pause } from "../support/until.ts";
import type { StressLedger } from "./ledger.ts";

interface Servers {
  readonly influxd: TestInfluxd;
  readonly postgres: TestPostgres;
}

const FAULTS: Readonly<Record<string, (servers: Servers, ms: number) => Promise<void>>> = {
  async "InfluxDB frozen"({ influxd }, ms) {
    influxd.freeze();
    try {
      await pause(ms);
    } finally {
      influxd.thaw();
    }
  },
  async "InfluxDB killed"({ influxd }, ms) {
    await influxd.kill();
    await pause(ms);
    await influxd.restart();
  },
  async "InfluxDB restarted"({ influxd }) {
    await influxd.restart();
  },
  async "PostgreSQL restarted"({ postgres }) {
    await postgres.restart("fast");
  },
  async "PostgreSQL killed"({ postgres }, ms) {
    await postgres.kill();
    await pause(ms);
    await postgres.restart("immediate");
  },
};

export async function breakUntil(
  signal: AbortSignal,
  { random, ledger, ...servers }: Servers & { random: Random; ledger: StressLedger },
): Promise<void> {
  const names = Object.keys(FAULTS);
  // Each kind comes about at least once in a run of usual length, in an order of the seed's.
  const queue: string[] = [];
  while (!signal.aborted) {
    if (queue.length === 0) queue.push(...names.toSorted(() => random.next() - 0.5));
    await pause(random.integer(1_500, 4_000));
    if (signal.aborted) return;
    const name = queue.shift()!;
    await FAULTS[name]!(servers, random.integer(500, 3_000));
    ledger.count(`faults: ${name}`);
  }
}
