// What the PostgreSQL tests share: pools with settings fit for a test; it must hold no assertions.
import { systemClock } from "../../../src/clock.ts";
import type { Log } from "../../../src/observe/log.ts";
import {
  PostgresPool,
  type PostgresPoolOptions,
} from "../../../src/sources/postgres/postgres_pool.ts";
import { findPostgres, openPostgres, type TestPostgres } from "../../support/postgres.ts";

export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warning: () => {},
  error: () => {},
};

/** A pool on the test's database as the service would have it. */
export function openPool(
  server: Pick<TestPostgres, "appUrl">,
  options: Partial<PostgresPoolOptions> = {},
): PostgresPool {
  return new PostgresPool({
    url: server.appUrl,
    prepare: true,
    maxConnections: 4,
    role: "pulse_app",
    tenantSetting: "app.tenant_id",
    tables: ["fleet_alert", "telemetry"],
    statementTimeoutMs: 5_000,
    connectTimeoutMs: 5_000,
    log: silentLog,
    clock: systemClock,
    ...options,
  });
}

/** A signal that never falls. */
export function forever(): { readonly signal: AbortSignal } {
  return { signal: new AbortController().signal };
}

/** Polls until the condition holds; throws after `withinMs`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  { withinMs = 30_000, what = "a condition" } = {},
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > deadline) {
      throw new Error(`Cannot wait any longer for ${what}: ${withinMs} ms have passed`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export type PostgresStep = (server: TestPostgres) => Promise<void>;

/** Registers one test on one database with a step for each behaviour; `real` leaves it out where only PGlite is. */
export function postgresSuite(
  name: string,
  steps: Readonly<Record<string, PostgresStep>>,
  { real = false } = {},
): void {
  Deno.test({
    name,
    ignore: real && findPostgres() === null,
    async fn(t) {
      await using server = await openPostgres();
      // PGlite's ends of the sockets live in this process and close a little after ours.
      const isOwnProcess = server.kind === "postgres";
      for (const [behaviour, step] of Object.entries(steps)) {
        await t.step({
          name: behaviour,
          fn: () => step(server),
          sanitizeOps: isOwnProcess,
          sanitizeResources: isOwnProcess,
        });
      }
    },
  });
}
