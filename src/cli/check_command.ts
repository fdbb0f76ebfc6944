// Runs every check and prints its verdict; it must end by itself whatever hangs, and change nothing.
import { systemClock as clock } from "../clock.ts";
import { ConfigError, readConfig } from "../config.ts";
import type { Log } from "../observe/log.ts";
import { openSources, type Sources } from "../sources/open_sources.ts";
import { verifierFromConfig } from "../verifier_from_config.ts";
import { checkChannel } from "./check_channel.ts";
import type { CheckContext } from "./check_context.ts";
import { checkKeys } from "./check_keys.ts";
import { checkAlertReads, checkLogin, checkTable } from "./check_postgres.ts";
import { checkTelemetry } from "./check_telemetry.ts";
import type { Flags } from "./parse_command.ts";
import { redaction } from "./redaction.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage_error.ts";
import { skipped, type Verdict, verdictLine } from "./verdict.ts";

/** The verdicts say it all. */
const NO_LOG: Log = { debug: () => {}, info: () => {}, warning: () => {}, error: () => {} };

/** 0 where nothing failed, 1 otherwise. Throws UsageError and ConfigError. */
export async function checkCommand(flags: Flags, terminal: Terminal): Promise<number> {
  const tenantId = flags.text("tenant") ?? null;
  const otherTenantId = flags.text("other-tenant") ?? null;
  if (otherTenantId !== null && tenantId === null) {
    throw new UsageError("Flag --other-tenant needs --tenant: who must not see its rows");
  }
  if (otherTenantId !== null && otherTenantId === tenantId) {
    throw new UsageError("Flags --tenant and --other-tenant must name two tenants");
  }
  const config = readConfig();
  const redact = redaction(config);
  const life = new AbortController();
  const context = { config, tenantId, otherTenantId, clock, log: NO_LOG, signal: life.signal };
  await using sources = openMeant(context);
  const counts = { ok: 0, failed: 0, skipped: 0 };
  try {
    for await (const verdict of verdicts(context, sources)) {
      counts[verdict.outcome]++;
      await terminal.print(redact(verdictLine(verdict)));
    }
  } finally {
    life.abort();
  }
  await terminal.print(`${counts.ok} ok, ${counts.failed} failed, ${counts.skipped} skipped`);
  return counts.failed === 0 ? 0 : 1;
}

/** Opens what the settings name, without connecting. Throws ConfigError where they can't be meant. */
function openMeant(context: CheckContext): Sources {
  try {
    verifierFromConfig(context.config, context);
    return openSources(context.config, context);
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      throw new ConfigError([error.message]);
    }
    throw error;
  }
}

async function* verdicts(context: CheckContext, sources: Sources): AsyncGenerator<Verdict> {
  const { config, signal } = context;
  yield* checkKeys(context);
  const hasLogin = yield* checkLogin(context);
  const isReadable = yield* tableVerdicts(context, {
    name: "alerts",
    table: config.ALERT_TABLE,
    hasLogin,
  });
  yield* checkAlertReads(context, { alerts: sources.alerts, isReadable });
  yield* checkChannel(context);
  if (config.TELEMETRY_SOURCE === "postgres") {
    yield* tableVerdicts(context, { name: "telemetry", table: config.TELEMETRY_TABLE, hasLogin });
  }
  const { telemetry: reached } = await sources.check(signal);
  yield* checkTelemetry(context, { telemetry: sources.telemetry, reached });
}

async function* tableVerdicts(
  context: CheckContext,
  { name, table, hasLogin }: {
    readonly name: string;
    readonly table: string;
    readonly hasLogin: boolean;
  },
): AsyncGenerator<Verdict, boolean> {
  if (hasLogin) return yield* checkTable(context, { name, table });
  yield skipped(`${name} isolation`, "PostgreSQL can't be read");
  yield skipped(`${name} tenants`, "PostgreSQL can't be read");
  return false;
}
