// Serves: settings, log, sources, app, signals. It composes, and holds no logic.
import { createApp, createMetrics } from "../app.ts";
import { systemClock as clock } from "../clock.ts";
import { limitsOf, readConfig } from "../config.ts";
import { leaveOnSignal } from "../leave_on_signal.ts";
import { LimitLedger } from "../limits/limits.ts";
import { guardProcess } from "../observe/guard_process.ts";
import { createLog } from "../observe/log.ts";
import { serve } from "../serve.ts";
import { serveWorkers } from "../serve_workers.ts";
import { openSources } from "../sources/open_sources.ts";

/** Resolves once it serves; the process then ends by a signal. Throws ConfigError and ListenError. */
export async function serveCommand(): Promise<null> {
  const config = readConfig();
  const logFormat = Deno.stdout.isTerminal() ? "text" : "json";
  const log = createLog({ level: config.LOG_LEVEL, format: logFormat });
  const ledger = new LimitLedger(limitsOf(config));
  const metrics = createMetrics(config);
  const crowded = () => ledger.crossed("reads");
  const sources = openSources(config, { clock, log, crowded, metrics });
  guardProcess({ log, onFault: () => metrics.fault() });
  const deps = { sources, clock, log, ledger, metrics };
  const start = config.WORKERS === 1
    ? () => serve(createApp(config, deps), { config, log })
    : () => serveWorkers(config, { ...deps, logFormat });
  await leaveOnSignal(start, { log });
  return null;
}
