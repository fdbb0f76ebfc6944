// A worker's thread: what faces clients, with everything that is shared asked of the keeper. It only composes, and is
// imported by nobody.
import { parentPort } from "node:worker_threads";
import { crossingsOf } from "./app.ts";
import { systemClock as clock } from "./clock.ts";
import { limitsOf } from "./config.ts";
import { createFront } from "./front.ts";
import { LimitLedger } from "./limits/limits.ts";
import { listenForClients } from "./listen.ts";
import { guardProcess } from "./observe/guard_process.ts";
import { createLog } from "./observe/log.ts";
import { watchLoopLag } from "./observe/loop_lag.ts";
import { PrometheusMetrics } from "./observe/prometheus_metrics.ts";
import { STOP_MS } from "./serve.ts";
import type { WorkerStart } from "./serve_workers.ts";
import { VERSION } from "./version.ts";
import { KeptKeySet } from "./workers/kept_key_set.ts";
import { Link } from "./workers/link.ts";
import type { KeeperQuestions, WorkerQuestions } from "./workers/questions.ts";
import { type AsksKeeper, remoteBack } from "./workers/remote_back.ts";
import { RemoteFeeds } from "./workers/remote_feeds.ts";
import { remoteStanding } from "./workers/remote_standing.ts";

type Running = Awaited<ReturnType<typeof run>>;

if (parentPort === null) throw new Error("A worker is started by its keeper only");
const port = parentPort;
let running: Running | null = null;

function here(): Running {
  if (running === null) throw new Error("The worker was not started");
  return running;
}

const keeper = new Link<KeeperQuestions, WorkerQuestions<WorkerStart>>({
  send: (text) => port.postMessage(text),
  failed: (error) => here().log.error("worker_message_failed", { error }),
  answers: {
    async start(start) {
      running = await run(start, keeper);
      return null;
    },
    takeSnapshot: (parcel) => here().feeds.take(parcel),
    // They come before the start: who begins has what the others have.
    takeKeys: (keys) => keySet.take(keys),
    usageOf(tenantId) {
      const { manager } = here().front;
      const { connections, subscriptions } = manager.usageOf(tenantId);
      return { connections, subscriptions, mostDevices: manager.mostDevicesOf(tenantId) };
    },
    metrics: () => here().metrics.families(),
    async leave({ withinMs }) {
      await here().leave(withinMs);
      return null;
    },
    ping: () => null,
  },
});
const keySet: KeptKeySet = new KeptKeySet(keeper, clock);
port.on("message", (text: string) => keeper.receive(text));

async function run(start: WorkerStart, keeper: AsksKeeper) {
  const { config, number, logFormat } = start;
  const log = createLog({
    level: config.LOG_LEVEL,
    format: logFormat,
    fields: { worker: number },
    write: (level, line) => keeper.tell("log", { level, line }),
  });
  const ledger = new LimitLedger(limitsOf(config));
  const metrics = new PrometheusMetrics({
    version: VERSION,
    hasTenantLabel: config.METRICS_TENANT_LABEL,
    // The process's, which the keeper says.
    memory: () => ({ ...Deno.memoryUsage(), rss: 0 }),
  });
  guardProcess({ log, onFault: () => metrics.fault() });
  const feeds = new RemoteFeeds((change) => keeper.tell("changeInterest", change));
  const front = createFront(config, {
    back: remoteBack(keeper, { feeds, keySet }),
    standing: () => remoteStanding(keeper, metrics.contentType),
    clock,
    log,
    ledger,
    metrics,
    random: Math.random,
  });
  metrics.watch({
    tenants: () => front.manager.usages(),
    crossings: () => crossingsOf(ledger),
  });
  const engine = await listenForClients(front, {
    config,
    log,
    port: start.port,
    maxSockets: start.maxSockets,
    listeners: config.WORKERS,
  });
  const loopLag = watchLoopLag(metrics);
  return {
    front,
    feeds,
    log,
    metrics,
    async leave(withinMs: number): Promise<void> {
      await front.drain(withinMs);
      await engine.shutdown(STOP_MS);
      loopLag[Symbol.dispose]();
      log.flush();
    },
  };
}
