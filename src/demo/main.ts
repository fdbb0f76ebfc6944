// The embedded default's entry: a database, a fleet that lives in it and the real service in front, all in one process.
// It only composes; nothing imports it, and no token of it is good anywhere else.
import { createApp, createMetrics } from "../app.ts";
import { systemClock as clock } from "../clock.ts";
import { type Config, ConfigError, readConfig } from "../config.ts";
import { leaveOnSignal } from "../leave_on_signal.ts";
import { ListenError } from "../sockets/listen_error.ts";
import { guardProcess } from "../observe/guard_process.ts";
import { createLog } from "../observe/log.ts";
import { serve, type Serving } from "../serve.ts";
import { openSources } from "../sources/open_sources.ts";
import { DemoDatabase } from "./demo_database.ts";
import { demoFetch } from "./demo_fetch.ts";
import { FLEET } from "./fleet.ts";
import { FleetWriter } from "./fleet_writer.ts";
import { invitation } from "./invitation.ts";
import { seededRandom } from "./seeded_random.ts";
import { SimulatedTenant } from "./simulated_tenant.ts";

/** What a person may choose; everything else is the demo's own. */
const CHOICES: ReadonlySet<string> = new Set(["HOST", "PORT", "LOG_LEVEL", "WS_POLL_SECONDS"]);

const secret = crypto.getRandomValues(new Uint8Array(32)).toHex();
const startedAt = clock.now();

function configOf(databaseUrl: string): Config {
  const own: Readonly<Record<string, string>> = {
    TELEMETRY_SOURCE: "postgres",
    DATABASE_URL: databaseUrl,
    JWT_SECRET: secret,
    // For the pages of one machine; so many descriptors are there on any.
    MAX_CONNECTIONS: "500",
    DRAIN_SECONDS: "2",
  };
  const defaults: Readonly<Record<string, string>> = {
    WS_POLL_SECONDS: "1",
    LOG_LEVEL: "warning",
  };
  return readConfig({
    get: (name) =>
      own[name] ?? (CHOICES.has(name) ? Deno.env.get(name) || defaults[name] : undefined),
    readFile: (path) => Deno.readTextFileSync(path),
  });
}

async function start(): Promise<void> {
  // Before the seconds that the database takes: a setting that can't be used is said at once.
  configOf("postgres://nobody@127.0.0.1/none");
  console.log("Starting PostgreSQL inside this process (PGlite), which takes a few seconds …");
  const database = await DemoDatabase.start();
  const config = configOf(database.url);
  const log = createLog({ level: config.LOG_LEVEL, format: "text" });
  guardProcess({ log });
  const random = seededRandom(startedAt);
  const tenants = FLEET.map((tenant) =>
    new SimulatedTenant(tenant, { nowMs: clock.now(), random })
  );
  const writer = new FleetWriter({ tenants, database, clock, log });
  await writer.start();

  const metrics = createMetrics(config);
  const sources = openSources(config, { clock, log, metrics });
  const app = createApp(config, { sources, clock, log, metrics });
  const fetch = demoFetch(app.fetch, { fleet: FLEET, secret });
  const listening = () =>
    listen((port) => serve(app, { config: { ...config, PORT: port }, log, fetch }), config);
  const { engine } = await leaveOnSignal(listening, {
    log,
    leave: async () => {
      await writer[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  });
  const { hostname, port } = engine;
  console.log(`Ready after ${((clock.now() - startedAt) / 1_000).toFixed(1)} s`);
  console.log(await invitation({ hostname, port, fleet: FLEET, secret }));
}

/** Listens where it is told to; a port that nobody chose may be another one. */
async function listen(
  serveOn: (port: number) => Promise<Serving>,
  { PORT: port }: Config,
): Promise<Serving> {
  try {
    return await serveOn(port);
  } catch (error) {
    if (!(error instanceof ListenError && error.isInUse)) throw error;
    if (Deno.env.get("PORT")) {
      console.error(`Cannot listen on port ${port}: it is in use; set PORT to another one`);
      Deno.exit(1);
    }
    console.log(`Port ${port} is in use, so a free one is taken`);
    return await serveOn(0);
  }
}

try {
  await start();
} catch (error) {
  // Not thrown on: the guard of the process would keep half a demo alive.
  console.error(error instanceof ConfigError ? error.message : error);
  Deno.exit(error instanceof ConfigError ? 2 : 1);
}
