// The service on a free loopback port, as main.ts composes it, with what a test wants different.
import { type App, createApp } from "../../src/app.ts";
import { type Clock, systemClock } from "../../src/clock.ts";
import { type Config, readConfig } from "../../src/config.ts";
import { serve, type Serving } from "../../src/serve.ts";
import type { Sources } from "../../src/sources/open_sources.ts";
import { TestClient } from "./client.ts";
import { type MemoryLog, memoryLog } from "./memory_log.ts";
import { signToken, TEST_SECRET } from "./tokens.ts";

export interface TestService extends AsyncDisposable {
  readonly app: App;
  readonly serving: Serving;
  readonly log: MemoryLog;
  readonly port: number;
  /** `http://127.0.0.1:port` */
  readonly origin: string;
  socketUrl(token?: string): string;
  /** Connects with a fresh token of these claims. */
  connect(claims?: Record<string, unknown>): Promise<TestClient>;
  stop(): Promise<void>;
}

/** Settings that suit tests, with overrides under their own names. */
export function testConfig(settings: Readonly<Record<string, string>> = {}): Config {
  const values: Record<string, string> = {
    DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
    INFLUXDB_URL: "http://127.0.0.1:1",
    PORT: "0",
    WS_POLL_SECONDS: "0.1",
    DRAIN_SECONDS: "0.3",
    ...(settings.JWKS_URL === undefined && settings.OIDC_ISSUER === undefined
      ? { JWT_SECRET: TEST_SECRET }
      : {}),
    ...settings,
  };
  return readConfig({ get: (name) => values[name], readFile: Deno.readTextFileSync });
}

export async function startService(
  { settings = {}, sources, clock = systemClock, log = memoryLog() }: {
    settings?: Readonly<Record<string, string>>;
    sources: Sources | ((config: Config, log: MemoryLog) => Sources);
    clock?: Clock;
    log?: MemoryLog;
  },
): Promise<TestService> {
  const config = testConfig(settings);
  const opened = typeof sources === "function" ? sources(config, log) : sources;
  const app = createApp(config, { sources: opened, clock, log });
  const serving = await serve(app, { config, log });
  const { port } = serving.engine;
  let stopped: Promise<void> | null = null;
  const stop = () => stopped ??= serving.leave();
  const service: TestService = {
    app,
    serving,
    log,
    port,
    origin: `http://127.0.0.1:${port}`,
    socketUrl: (token) =>
      `ws://127.0.0.1:${port}/api/v2/ws${token === undefined ? "" : `?token=${token}`}`,
    async connect(claims) {
      return await TestClient.connect(service.socketUrl(await signToken(claims)));
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
  return service;
}
