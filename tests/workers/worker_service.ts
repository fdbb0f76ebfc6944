// A service of several workers on real databases, in threads of this process as the entry starts them.
import { systemClock } from "../../src/clock.ts";
import { createMetrics } from "../../src/app.ts";
import { limitsOf } from "../../src/config.ts";
import { LimitLedger } from "../../src/limits/limits.ts";
import {
  serveWorkers,
  type ServeWorkersOptions,
  type ServingWorkers,
} from "../../src/serve_workers.ts";
import { openSources } from "../../src/sources/open_sources.ts";
import type { Databases, Settings } from "../service/databases.ts";
import { TestClient } from "../support/client.ts";
import { type MemoryLog, memoryLog } from "../support/memory_log.ts";
import { testConfig } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";

export interface WorkerService extends AsyncDisposable {
  readonly serving: ServingWorkers;
  readonly log: MemoryLog;
  readonly origin: string;
  socketUrl(query: string): string;
  connect(claims?: Record<string, unknown>): Promise<TestClient>;
}

export async function startWorkers(
  databases: Pick<Databases, "settings">,
  settings: Settings = {},
  { clock = systemClock, ...options }: Partial<
    Pick<ServeWorkersOptions, "clock" | "entry" | "stuckMs">
  > = {},
): Promise<WorkerService> {
  const config = testConfig({
    ...databases.settings,
    WS_POLL_SECONDS: "0.25",
    WORKERS: "2",
    // What workers say would stand among the tests' own lines.
    LOG_LEVEL: "error",
    ...settings,
  });
  const log = memoryLog();
  const ledger = new LimitLedger(limitsOf(config));
  const metrics = createMetrics(config);
  const sources = openSources(config, { clock, log, metrics });
  const serving = await serveWorkers(config, {
    sources,
    clock,
    log,
    logFormat: "json",
    ledger,
    metrics,
    ...options,
  });
  const host = `127.0.0.1:${serving.engine.port}`;
  const socketUrl = (query: string) => `ws://${host}/api/v2/ws?${query}`;
  return {
    serving,
    log,
    origin: `http://${host}`,
    socketUrl,
    connect: async (claims) =>
      await TestClient.connect(socketUrl(`token=${await signToken(claims)}`)),
    [Symbol.asyncDispose]: () => serving.leave(),
  };
}
