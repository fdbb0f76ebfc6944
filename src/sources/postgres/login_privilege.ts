// Asks what the login itself may, whatever role its reads take: policies hold neither a superuser nor BYPASSRLS.
import type { PostgresPool } from "./postgres_pool.ts";

/** Policies don't matter to the question: any tenant will do, and none has this id. */
const NOBODY = "-";

/** As the rest of a sentence that begins with the login; null where it has none. Throws SourceError. */
export async function loginPrivilege(
  pool: PostgresPool,
  { signal }: { readonly signal: AbortSignal },
): Promise<string | null> {
  const [[row]] = await pool.readAsTenant(NOBODY, [{
    text: `
      SELECT CASE WHEN login.rolsuper THEN 'is a superuser' WHEN login.rolbypassrls THEN 'has BYPASSRLS' END AS privilege
      FROM pg_catalog.pg_roles AS login WHERE login.rolname = session_user`,
    parameters: [],
  }], { signal });
  return row?.privilege ?? null;
}
