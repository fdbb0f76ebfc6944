// What the tests of notifications share: a listener that remembers, and ways to know that it hears.
import assert from "node:assert/strict";
import { systemClock } from "../../../src/clock.ts";
import type { AlertListener } from "../../../src/sources/alert_signals.ts";
import {
  AlertNotifications,
  type AlertNotificationsOptions,
} from "../../../src/sources/postgres/alert_notifications.ts";
import { type MemoryLog, memoryLog } from "../../support/memory_log.ts";
import type { TestPostgres } from "../../support/postgres.ts";
import { until } from "../../support/until.ts";

export interface Ears extends AlertListener {
  readonly heard: string[];
  gaps: number;
}

export function ears(): Ears {
  const heard: string[] = [];
  return {
    heard,
    gaps: 0,
    notified: (tenantId) => void heard.push(tenantId),
    missed() {
      this.gaps++;
    },
  };
}

export interface Heard extends AsyncDisposable {
  readonly signals: AlertNotifications;
  readonly ears: Ears;
  readonly log: MemoryLog;
}

/** As the service would have them, on the test's database. */
export function notificationsOf(
  server: Pick<TestPostgres, "appUrl">,
  options: Partial<AlertNotificationsOptions> = {},
): AlertNotifications {
  return new AlertNotifications({
    url: server.appUrl,
    channel: "fleet_alert",
    connectTimeoutMs: 5_000,
    clock: systemClock,
    log: memoryLog(),
    ...options,
  });
}

/** Listens as the only one, and resolves once it hears. */
export async function hear(
  server: TestPostgres,
  options: Partial<AlertNotificationsOptions> = {},
): Promise<Heard> {
  await untilConnected(server, 0);
  const log = memoryLog();
  const listener = ears();
  const signals = notificationsOf(server, { log, ...options });
  signals.listen(listener);
  await untilHeard(server, listener);
  return {
    signals,
    ears: listener,
    log,
    [Symbol.asyncDispose]: () => signals[Symbol.asyncDispose](),
  };
}

export function notify(server: TestPostgres, payload: string): Promise<unknown> {
  return server.execute("SELECT pg_notify('fleet_alert', $1)", [payload]);
}

let fences = 0;

/** Notifies until it is heard; what was sent before it has then been heard, too. */
export async function untilHeard(server: TestPostgres, { heard }: Ears): Promise<void> {
  const fence = `fence-${fences++}`;
  await until(async () => {
    await notify(server, fence);
    return heard.includes(fence);
  }, { withinMs: 20_000, what: "a notification to be heard" });
}

/** What was heard since the last call, fences left out. */
export async function heardSince(server: TestPostgres, listener: Ears): Promise<readonly string[]> {
  await untilHeard(server, listener);
  return listener.heard.splice(0).filter((tenantId) => !tenantId.startsWith("fence-"));
}

const OF_LISTENERS = "FROM pg_stat_activity WHERE application_name = 'pulsewire'";

export async function connectionCount(server: TestPostgres): Promise<number> {
  const [row] = await server.execute(`SELECT count(*)::int AS count ${OF_LISTENERS}`);
  return Number(row?.count);
}

/** A server's process is there for a moment after the connection that it served. */
export function untilConnected(server: TestPostgres, count: number): Promise<void> {
  return until(async () => await connectionCount(server) === count, {
    withinMs: 20_000,
    what: `${count} connections`,
  });
}

/** Ends the listening connection from the server's side. */
export async function terminate(server: TestPostgres): Promise<void> {
  await untilConnected(server, 1);
  const ended = await server.execute(`SELECT pg_terminate_backend(pid) ${OF_LISTENERS}`);
  assert.equal(ended.length, 1);
}

/** Lets the listening connection ask, and waits until it has been answered. */
export async function answered(server: TestPostgres, ask: () => Promise<void>): Promise<void> {
  const [before] = await server.execute(`SELECT query_start::text AS at ${OF_LISTENERS}`);
  await ask();
  await until(async () => {
    const [now] = await server.execute(
      `SELECT query_start::text AS at, state, query ${OF_LISTENERS}`,
    );
    return now?.at !== before?.at && now?.state === "idle" && now?.query === "SELECT 1";
  }, { what: "a question to be answered" });
}
