// Checks that PostgreSQL takes the login, keeps tenants apart and gives a tenant its alerts; it must never take a doubt
// for a yes.
import type { AlertSource } from "../sources/alert_source.ts";
import { openPool } from "../sources/open_sources.ts";
import { loginPrivilege } from "../sources/postgres/login_privilege.ts";
import { countVisibleRows } from "../sources/postgres/visible_rows.ts";
import { SourceError } from "../sources/source_error.ts";
import { type CheckContext, inTime, NAME_A_TENANT, NO_TENANT } from "./check_context.ts";
import { fault, isAway, ok, skipped, type Verdict } from "./verdict.ts";

const LOGIN = "postgres";
const ALERT_READS = ["alerts open", "alerts state"] as const;
const MAX_ALERTS = 100;

/** The login and the role alone, without a table. */
export async function* checkLogin(context: CheckContext): AsyncGenerator<Verdict, boolean> {
  const { config } = context;
  await using pool = openPool(config, { ...context, table: null });
  let privilege: string | null;
  try {
    privilege = await loginPrivilege(pool, { signal: inTime(context) });
  } catch (error) {
    const isDenied = error instanceof SourceError && error.kind === "denied";
    const cure = isDenied
      ? "DATABASE_URL must hold the right login, which sql/02_roles.sql lets become DATABASE_ROLE"
      : "DATABASE_URL must be right, its host reachable from here, and its sslmode one that the server knows";
    yield fault(LOGIN, error, cure);
    return false;
  }
  if (privilege !== null) {
    yield fault(
      LOGIN,
      `the login ${privilege}, which policies don't hold`,
      "DATABASE_URL must hold a login without rights of its own, as sql/02_roles.sql says",
    );
    return true;
  }
  const { DATABASE_ROLE: role } = config;
  yield ok(LOGIN, role === "" ? "the login is taken" : `the login is taken and becomes ${role}`);
  return true;
}

/** Whether the table shows a tenant its own rows, and nobody else any; `name` is what the verdicts are called by. */
export async function* checkTable(
  context: CheckContext,
  { name, table }: { readonly name: string; readonly table: string },
): AsyncGenerator<Verdict, boolean> {
  const { config, tenantId, otherTenantId } = context;
  const [isolation, tenants] = [`${name} isolation`, `${name} tenants`];
  await using pool = openPool(config, { ...context, table });
  try {
    await pool.check(inTime(context));
  } catch (error) {
    yield fault(
      isolation,
      error,
      "the table, the role and its policies must be as sql/ makes them",
    );
    yield skipped(tenants, `${table} can't be read`);
    return false;
  }
  yield ok(isolation, `${table} holds to its policies, and shows nothing where no tenant is named`);
  if (tenantId === null) {
    yield skipped(tenants, NO_TENANT, NAME_A_TENANT);
    return true;
  }
  const asked = [...new Set([tenantId, ...(otherTenantId === null ? [] : [otherTenantId])])];
  const seen: string[] = [];
  for (const asking of asked) {
    try {
      const signal = inTime(context);
      const { own, foreign, isCut } = await countVisibleRows(pool, {
        table,
        tenantId: asking,
        signal,
      });
      if (foreign > 0) {
        const said = `${asking} sees ${foreign} rows of other tenants in ${table}`;
        yield fault(tenants, said, "compare the policies with sql/03_policies.sql");
        return true;
      }
      if (own === 0 && asking === otherTenantId) {
        const cure = "name one with rows with --other-tenant";
        yield skipped(
          tenants,
          `${asking} has no rows in ${table}, so hiding them shows nothing`,
          cure,
        );
        return true;
      }
      seen.push(`${asking} sees ${isCut ? "more than " : ""}${own} rows`);
    } catch (error) {
      yield fault(tenants, error, "READ_TIMEOUT_SECONDS may be too low for the table");
      return true;
    }
  }
  yield ok(tenants, `${seen.join(", ")}, and none of another tenant`);
  return true;
}

export async function* checkAlertReads(
  { tenantId, signal }: CheckContext,
  { alerts, isReadable }: { readonly alerts: AlertSource; readonly isReadable: boolean },
): AsyncGenerator<Verdict> {
  const skipAll = (why: string, cure: string | null) =>
    ALERT_READS.map((name) => skipped(name, why, cure));
  if (!isReadable) {
    yield* skipAll("alerts can't be read", null);
    return;
  }
  if (tenantId === null) {
    yield* skipAll(NO_TENANT, NAME_A_TENANT);
    return;
  }
  const reads: Readonly<Record<(typeof ALERT_READS)[number], () => Promise<string>>> = {
    "alerts open": async () => {
      const open = await alerts.readOpen({ tenantId, limit: MAX_ALERTS, signal });
      return `${open.length === MAX_ALERTS ? "at least " : ""}${open.length} are open`;
    },
    "alerts state": async () => {
      const state = await alerts.readState({
        tenantId,
        limit: MAX_ALERTS,
        changedSince: null,
        changedLimit: 0,
        isCounted: true,
        signal,
      });
      return `${state.counts?.total ?? 0} are counted`;
    },
  };
  let isLost = false;
  for (const name of ALERT_READS) {
    if (isLost) {
      yield skipped(name, "alerts can't be read");
      continue;
    }
    try {
      yield ok(name, await reads[name]());
    } catch (error) {
      isLost = isAway(error);
      yield fault(
        name,
        error,
        "the table's columns and indexes must be as sql/01_schema.sql makes them",
      );
    }
  }
}
