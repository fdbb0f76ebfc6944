// The service's entry: settings, app, serve, signals, drain. No logic.
import { createApp } from "./src/app.ts";
import { systemClock as clock } from "./src/clock.ts";
import { ConfigError, limitsOf, readConfig } from "./src/config.ts";
import { ListenError } from "./src/sockets/listen_error.ts";
import { LimitLedger } from "./src/limits/limits.ts";
import { leaveOnSignal } from "./src/leave_on_signal.ts";
import { guardProcess } from "./src/observe/guard_process.ts";
import { createLog } from "./src/observe/log.ts";
import { serve } from "./src/serve.ts";
import { openSources } from "./src/sources/open_sources.ts";

try {
  const config = readConfig();
  const log = createLog({
    level: config.LOG_LEVEL,
    format: Deno.stdout.isTerminal() ? "text" : "json",
  });
  const ledger = new LimitLedger(limitsOf(config));
  const sources = openSources(config, { clock, log, crowded: () => ledger.crossed("reads") });
  const app = createApp(config, { sources, clock, log, ledger });
  guardProcess({ log });
  await leaveOnSignal(() => serve(app, { config, log }), { log });
} catch (error) {
  // Here and not later: once the process is guarded, what is thrown no longer ends it.
  // deno-lint-ignore no-console -- the log's level is a setting, too
  console.error(
    error instanceof ConfigError || error instanceof ListenError ? error.message : error,
  );
  Deno.exit(error instanceof ConfigError ? 2 : 1);
}
