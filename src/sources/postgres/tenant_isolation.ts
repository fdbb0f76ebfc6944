// Asks PostgreSQL whether it keeps tenants apart in the tables that are read, and puts into words what it lacks. It must
// never take a doubt for a yes.
import { SourceError } from "../source_error.ts";
import { quoteLiteral, quoteTable } from "./quote_identifier.ts";
import { sqlStateOf, toSourceError } from "./source_fault.ts";
import type { Row, Statement } from "./statement.ts";

export interface TenantIsolationOptions {
  /** `table` or `schema.table`, each one that is read. */
  readonly tables: readonly string[];
  readonly tenantSetting: string;
}

/** A read that must find nothing, as somebody who is no tenant. */
export interface IsolationProbe {
  readonly table: string;
  /** Who asks, as a part of a sentence. */
  readonly asker: string;
  readonly statements: readonly Statement[];
}

/** Spaces stand in no tenant's id. */
const IMPOSSIBLE_TENANT = "no such tenant";

/** A policy may refuse what it can't compare instead of answering no: a setting that is not there, '' as a uuid. */
const REFUSAL = "42704";
/** Of values, and of functions that raise. */
const REFUSAL_CLASSES: ReadonlySet<string> = new Set(["22", "P0"]);

export class TenantIsolation {
  /**
   * Goes behind the statements of every read: their locks keep the tables and their policies as they were. Its snapshot
   * must be younger than those locks.
   */
  readonly witness: Statement | null;
  /** The same question with its values in the text, so that asking takes one round trip. */
  readonly inspection: Statement | null;
  readonly probes: readonly IsolationProbe[];

  /** Throws TypeError on a table's name that can't exist. */
  constructor({ tables, tenantSetting }: TenantIsolationOptions) {
    const names = tables.map(quoteTable);
    const isAnyRead = names.length > 0;
    this.witness = isAnyRead
      ? { text: factsOf(names.map((_, index) => `$${index + 1}`)), parameters: names }
      : null;
    this.inspection = isAnyRead ? { text: factsOf(names.map(quoteLiteral)), parameters: [] } : null;
    this.probes = names.flatMap((table) => {
      const look = { text: `SELECT EXISTS (SELECT FROM ${table}) AS seen`, parameters: [] };
      const naming = (tenant: string) => ({
        text: `SELECT set_config(${quoteLiteral(tenantSetting)}, ${quoteLiteral(tenant)}, true)`,
        parameters: [],
      });
      return [
        { table, asker: "a transaction that names no tenant", statements: [look] },
        { table, asker: "the tenant ''", statements: [naming(""), look] },
        {
          table,
          asker: "a tenant that can't exist",
          statements: [naming(IMPOSSIBLE_TENANT), look],
        },
      ];
    });
  }

  /** Throws SourceError `denied` unless every table is held to its policies. */
  judge(facts: readonly Row[]): void {
    for (const fact of facts) {
      const lack = lackOf(fact);
      if (lack !== null) throw denied(fact.name, lack);
    }
  }

  /** Throws SourceError `denied` when the probe found a row, and what kept it from looking. */
  judgeProbe(probe: IsolationProbe, answer: readonly Row[] | { readonly error: unknown }): void {
    if (!("error" in answer)) {
      const [row] = answer;
      if (row?.seen === "f") return;
      throw denied(probe.table, `its policies show rows to ${probe.asker}; compare them with sql/`);
    }
    const code = sqlStateOf(answer.error);
    if (code !== null && (code === REFUSAL || REFUSAL_CLASSES.has(code.slice(0, 2)))) return;
    if (code === "42501") {
      throw new SourceError(
        "denied",
        `PostgreSQL does not let the role read ${probe.table} (42501); see sql/02_roles.sql`,
        { cause: answer.error },
      );
    }
    if (code !== "57014") throw toSourceError(answer.error, "read");
    throw new SourceError(
      "unavailable",
      `Cannot check in time who sees rows of ${probe.table}: it is locked, or has no index that begins with tenant_id`,
      { cause: answer.error },
    );
  }
}

/** One row a table. The role's own privileges are only looked up where something is wrong. */
function factsOf(names: readonly string[]): string {
  // Rows and not an array of parameters, of which the planner would make a new plan every time.
  const rows = names.map((name) => `(${name}::text)`).join(", ");
  return `
    SELECT wanted.name, current_user AS role, class.oid IS NOT NULL AS found,
           class.relkind IN ('r', 'p') AS is_table, class.relrowsecurity AS enabled,
           class.relforcerowsecurity AS forced, row_security_active(class.oid) AS active,
           CASE WHEN row_security_active(class.oid) THEN NULL ELSE (
             SELECT CASE WHEN me.rolsuper THEN 'is a superuser' WHEN me.rolbypassrls THEN 'has BYPASSRLS' END
             FROM pg_catalog.pg_roles AS me WHERE me.rolname = current_user
           ) END AS privilege,
           EXISTS (
             SELECT FROM pg_catalog.pg_policy AS policy
             WHERE policy.polrelid = class.oid AND policy.polpermissive AND policy.polcmd IN ('r', '*') AND EXISTS (
               SELECT FROM unnest(policy.polroles) AS target
               WHERE CASE WHEN target = 0 THEN true ELSE pg_has_role(target, 'USAGE') END
             )
           ) AS admitted
    FROM (VALUES ${rows}) AS wanted (name)
    LEFT JOIN pg_catalog.pg_class AS class ON class.oid = to_regclass(wanted.name)`;
}

function lackOf(fact: Row): string | null {
  const { name, role, privilege } = fact;
  if (fact.found !== "t") return "the table does not exist; see sql/01_schema.sql";
  if (fact.is_table !== "t") {
    return "it is no table, and only tables are held to policies; name the one behind it";
  }
  if (privilege !== null) {
    return `role "${role}" ${privilege}, which policies don't hold; DATABASE_ROLE must name another`;
  }
  if (fact.enabled !== "t") {
    return `row-level security is off; ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY`;
  }
  if (fact.forced !== "t") {
    return `row-level security is not forced; ALTER TABLE ${name} FORCE ROW LEVEL SECURITY`;
  }
  if (fact.admitted !== "t") {
    return `no policy lets role "${role}" read it; see sql/03_policies.sql`;
  }
  return fact.active === "t" ? null : `row-level security is not active for role "${role}"`;
}

function denied(table: string | null | undefined, lack: string): SourceError {
  return new SourceError("denied", `PostgreSQL does not keep tenants apart in ${table}: ${lack}`);
}
