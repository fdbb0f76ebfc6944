// Counts what a tenant sees of a table, its own rows and others', for whoever tests the policies from outside. It names no
// tenant in its question: only the policies may choose the rows.
import type { PostgresPool } from "./postgres_pool.ts";
import { quoteTable } from "./quote_identifier.ts";

export interface VisibleRows {
  readonly own: number;
  readonly foreign: number;
  /** Whether there are more than were looked at. */
  readonly isCut: boolean;
}

/** Rows that are looked at: some tenths of a second, however large the table is. */
export const MAX_VISIBLE_ROWS = 100_000;

/** Throws SourceError, and TypeError on a tenant's id that can't exist. */
export async function countVisibleRows(
  pool: PostgresPool,
  { table, tenantId, signal }: {
    readonly table: string;
    readonly tenantId: string;
    readonly signal: AbortSignal;
  },
): Promise<VisibleRows> {
  const [[row]] = await pool.readAsTenant(tenantId, [{
    text: `
      SELECT count(*) FILTER (WHERE visible.tenant_id::text = $1::text) AS own,
             count(*) FILTER (WHERE visible.tenant_id::text IS DISTINCT FROM $1::text) AS foreign_rows
      FROM (SELECT tenant_id FROM ${quoteTable(table)} LIMIT ${MAX_VISIBLE_ROWS}) AS visible`,
    parameters: [tenantId],
  }], { signal });
  const [own, foreign] = [Number(row?.own), Number(row?.foreign_rows)];
  return { own, foreign, isCut: own + foreign >= MAX_VISIBLE_ROWS };
}
