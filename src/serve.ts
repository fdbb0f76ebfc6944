// Serves an app on the engine that the settings choose, until told to leave. It knows signals' meaning, not signals.
import type { App } from "./app.ts";
import type { Config } from "./config.ts";
import { SOCKET_PATH } from "./http/routes.ts";
import type { Log } from "./observe/log.ts";
import { serveDeno } from "./sockets/deno_engine.ts";
import type { Engine, EngineOptions } from "./sockets/socket.ts";

/** Seconds of silence after which a peer is pinged, and closed when it stays silent as long again. */
const IDLE_TIMEOUT_SECONDS = 40;

/** What each engine can't defend against, said at start. */
const WEAKNESS: Readonly<Record<Config["WS_ENGINE"], string | null>> = {
  deno:
    "The deno engine bounds no message and can't end a stuck peer: don't let it face the internet",
};

export interface Serving {
  readonly engine: Engine;
  /** Closes every socket, stops listening and ends the sources; resolves within about `graceMs`. */
  leave(graceMs: number): Promise<void>;
}

export function serve(
  app: App,
  { config, log, fetch = app.fetch }: {
    config: Config;
    log: Log;
    /** Answers in place of the app's own `fetch`. */
    fetch?: EngineOptions["fetch"];
  },
): Serving {
  const engine = serveDeno({
    hostname: config.HOST,
    port: config.PORT,
    path: SOCKET_PATH,
    fetch,
    admit: app.admit,
    idleTimeoutSeconds: IDLE_TIMEOUT_SECONDS,
    failed: (fault, error) => log.error(fault, { error }),
  });
  const weakness = WEAKNESS[config.WS_ENGINE];
  log.info("listening", {
    engine: config.WS_ENGINE,
    address: `http://${engine.hostname}:${engine.port}`,
    poll_seconds: config.WS_POLL_SECONDS,
    telemetry: config.TELEMETRY_SOURCE === "influxdb"
      ? `influxdb (${config.INFLUXDB_QUERY})`
      : "postgres",
  });
  if (weakness !== null) log.warning("engine_weakness", { engine: config.WS_ENGINE, weakness });
  return {
    engine,
    async leave(graceMs) {
      await app.drain(graceMs);
      await engine.shutdown(1_000);
      await app[Symbol.asyncDispose]();
    },
  };
}
