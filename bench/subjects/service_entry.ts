// The service as main.ts composes it, on real databases or on synthetic ones, with a mouth that says what it holds and
// what it spent. It is started by benches alone.
import { createApp, createMetrics } from "../../src/app.ts";
import { limitsOf, readConfig } from "../../src/config.ts";
import { LimitLedger } from "../../src/limits/limits.ts";
import { guardProcess } from "../../src/observe/guard_process.ts";
import { createLog } from "../../src/observe/log.ts";
import { serve } from "../../src/serve.ts";
import { serveWorkers } from "../../src/serve_workers.ts";
import { openSources, type Sources } from "../../src/sources/open_sources.ts";
import { CountingClock } from "../../tests/support/counting_clock.ts";
import { answerAsked } from "../child.ts";
import { type SyntheticOptions, syntheticSources } from "./synthetic_sources.ts";

export interface ServiceOptions {
  /** Null for the databases that the settings name. */
  readonly synthetic: SyntheticOptions | null;
  /** Below what the setting allows: ticks as fast as they go. */
  readonly pollMs?: number;
  /** Whether reads wait for `run`. */
  readonly isHeld?: boolean;
}

export interface Reads {
  readonly telemetry: number;
  readonly alerts: number;
  /** Milliseconds of each telemetry read. */
  readonly tookMs: readonly number[];
  /** Milliseconds at which reads of telemetry began, within the interval. */
  readonly phasesMs: readonly number[];
  /** Milliseconds by which each came later than an interval after the one before it of its tenant. */
  readonly latenessMs: readonly number[];
}

export interface Holding {
  readonly connections: number;
  readonly feeds: number;
  readonly seats: number;
  readonly timers: number;
  readonly heapBytes: number;
  readonly residentBytes: number;
}

const LAG_LOOK_MS = 20;
const options = JSON.parse(Deno.args[0] ?? "{}") as ServiceOptions;
const settings = readConfig();
const config = options.pollMs === undefined
  ? settings
  : { ...settings, WS_POLL_SECONDS: options.pollMs / 1_000 };
const log = createLog({ level: config.LOG_LEVEL, format: "json" });
const clock = new CountingClock();
const synthetic = options.synthetic === null ? null : syntheticSources(options.synthetic);
if (options.isHeld === true) synthetic?.hold();
interface Counted {
  telemetry: number;
  alerts: number;
  tookMs: number[];
  phasesMs: number[];
  latenessMs: number[];
}
const none = (): Counted => ({
  telemetry: 0,
  alerts: 0,
  tookMs: [],
  phasesMs: [],
  latenessMs: [],
});
let reads = none();
const readBefore = new Map<string, number>();
const sources = counted(synthetic ?? openSources(config, { clock, log }));
const ledger = new LimitLedger(limitsOf(config));
const deps = { sources, clock, log, ledger, metrics: createMetrics(config) };
/** Null where several threads serve: then this one holds no socket. */
const app = config.WORKERS === 1 ? createApp(config, deps) : null;
guardProcess({ log });
const { engine } = app === null
  ? await serveWorkers(config, { ...deps, logFormat: "json" })
  : await serve(app, { config, log });

let lags: number[] = [];
let lookedAt = performance.now();
setInterval(() => {
  const now = performance.now();
  lags.push(Math.max(0, now - lookedAt - LAG_LOOK_MS));
  lookedAt = now;
}, LAG_LOOK_MS);

function counted(inner: Sources): Sources {
  const pollMs = config.WS_POLL_SECONDS * 1_000;
  const timed = async <Result>(tenantId: string, read: () => Promise<Result>): Promise<Result> => {
    const startedAt = performance.now();
    reads.telemetry++;
    reads.phasesMs.push(startedAt % pollMs);
    const before = readBefore.get(tenantId);
    if (before !== undefined) reads.latenessMs.push(Math.max(0, startedAt - before - pollMs));
    readBefore.set(tenantId, startedAt);
    try {
      return await read();
    } finally {
      reads.tookMs.push(performance.now() - startedAt);
    }
  };
  return {
    ...inner,
    telemetry: {
      readLatest: (query) => timed(query.tenantId, () => inner.telemetry.readLatest(query)),
      readRange: (query) => timed(query.tenantId, () => inner.telemetry.readRange(query)),
      listDevices: (query) => inner.telemetry.listDevices(query),
    },
    alerts: {
      readOpen(query) {
        reads.alerts++;
        return inner.alerts.readOpen(query);
      },
      readState(query) {
        reads.alerts++;
        return inner.alerts.readState(query);
      },
      readAlerts: (query) => inner.alerts.readAlerts(query),
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

const collectGarbage = (globalThis as { gc?: () => void }).gc;

await answerAsked({
  port: () => ({ port: engine.port }),
  hold: () => void synthetic?.hold(),
  run: () => void synthetic?.run(),
  reads: () => {
    const answer: Reads = reads;
    reads = none();
    return answer;
  },
  lags: () => {
    const answer = { lags };
    lags = [];
    return answer;
  },
  forget: () => {
    reads = none();
    lags = [];
  },
  holding: async (): Promise<Holding> => {
    if (app === null) throw new Error("What workers hold is not known here");
    for (let nth = 0; nth < 3; nth++) {
      collectGarbage?.();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const { heapUsed, rss } = Deno.memoryUsage();
    return {
      connections: app.manager.connectionCount,
      feeds: app.feeds.feedCount,
      seats: app.seats.taken,
      timers: clock.pending.size,
      heapBytes: heapUsed,
      residentBytes: rss,
    };
  },
});
