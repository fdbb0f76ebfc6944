// Makes names that come from settings safe to stand in SQL; a tenant's or a device's values never pass here, they are
// parameters.

const MAX_NAME_BYTES = 63; // PostgreSQL cuts longer names off in silence, and another table may be meant
const SETTING_NAME = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+$/;

/** Quotes one name: of a role, a schema, a table. Throws TypeError on a name that can't exist. */
export function quoteIdentifier(name: string): string {
  const length = new TextEncoder().encode(name).length;
  if (length === 0 || length > MAX_NAME_BYTES || name.includes("\0") || !name.isWellFormed()) {
    throw new TypeError(
      `Cannot use an SQL name: it must have 1 to ${MAX_NAME_BYTES} bytes and no NUL, current value is ${
        JSON.stringify(name)
      }`,
    );
  }
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes `table` or `schema.table`. */
export function quoteTable(name: string): string {
  const parts = name.split(".");
  if (parts.length > 2) {
    throw new TypeError(
      `Cannot use a table name: it must be "table" or "schema.table", current value is ${
        JSON.stringify(name)
      }`,
    );
  }
  return parts.map(quoteIdentifier).join(".");
}

/** Quotes a name where SQL wants it as a value, whatever `standard_conforming_strings` says. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll("\\", "\\\\")}'`;
  return text.includes("\\") ? `E${quoted}` : quoted;
}

/**
 * Returns the name of a custom setting as it is, once it is known to be one. The dot is what tells it from
 * PostgreSQL's own settings: a tenant's id must never end up in `role` or `search_path`.
 */
export function checkSettingName(name: string): string {
  if (!SETTING_NAME.test(name)) {
    throw new TypeError(
      `Cannot use a setting name: it must look like "app.tenant_id", current value is ${
        JSON.stringify(name)
      }`,
    );
  }
  return name;
}
