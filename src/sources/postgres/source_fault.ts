// Decides whose fault a failed read is; its messages carry PostgreSQL's code and never its words, which may name rows.
import { SourceError, type SourceErrorKind } from "../source_error.ts";

/** What was under way: bringing up a connection, entering the tenant's transaction, or the read itself. */
export type ReadStage = "connect" | "enter" | "read";

const KIND_BY_CODE: Readonly<Record<string, SourceErrorKind>> = {
  "26000": "unavailable", // a prepared statement is gone: a transaction pooler gave us another backend
  "42P05": "unavailable", // and the other way round
  "42501": "denied",
  "42704": "denied",
  "3D000": "denied",
  // One table serves every tenant: without it nobody is served until an operator acts.
  "42P01": "denied",
  "42703": "denied",
  "3F000": "denied",
};

const KIND_BY_CLASS: Readonly<Record<string, SourceErrorKind>> = {
  "28": "denied",
  "0A": "rejected",
  "21": "rejected",
  "22": "rejected",
  "42": "rejected",
  "44": "rejected",
  "54": "rejected",
  // Raised by a function, as a policy's that does not know this tenant.
  "P0": "rejected",
};

const SENTENCE: Readonly<Record<SourceErrorKind, string>> = {
  unavailable: "PostgreSQL did not answer the read",
  denied: "PostgreSQL refused the login, the role or the right to read",
  missing: "PostgreSQL has no such table",
  rejected: "PostgreSQL refused the query",
};

const SENTENCE_BY_CODE: Readonly<Record<string, string>> = {
  "28000": "PostgreSQL refused the login",
  "28P01": "PostgreSQL refused the login or its password",
  "3D000": "PostgreSQL has no such database",
  "3F000": "PostgreSQL has no such schema",
  "42501": "PostgreSQL does not let the role read the table",
  "42703": "PostgreSQL's table has no such column",
  "42P01": "PostgreSQL has no such table",
  "53300": "PostgreSQL has no connection left",
};

/** Before any table is looked at. */
const ENTER_SENTENCE_BY_CODE: Readonly<Record<string, string>> = {
  "22023": "PostgreSQL has no role of DATABASE_ROLE's name",
  "42501": "PostgreSQL does not let the login become DATABASE_ROLE",
};

/** Wraps whatever the driver or the socket threw; a SourceError passes as it is. */
export function toSourceError(error: unknown, stage: ReadStage): SourceError {
  if (error instanceof SourceError) return error;
  const code = sqlStateOf(error);
  const kind = code === null ? "unavailable" : kindOf(code, stage);
  const detail = code ?? networkCodeOf(error) ?? "connection lost";
  const sentence = (stage === "enter" ? ENTER_SENTENCE_BY_CODE[detail] : undefined) ??
    SENTENCE_BY_CODE[detail] ?? SENTENCE[kind];
  const hint = code === "26000" || code === "42P05"
    ? "; behind a transaction pooler DATABASE_PREPARE must be false"
    : "";
  return new SourceError(kind, `${sentence} (${detail})${hint}`, { cause: error });
}

/** PostgreSQL's own five-character code, or null when the error is not the server's. */
export function sqlStateOf(error: unknown): string | null {
  if (!(error instanceof Error) || error.name !== "PostgresError") return null;
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}

function kindOf(code: string, stage: ReadStage): SourceErrorKind {
  const kind = KIND_BY_CODE[code] ?? KIND_BY_CLASS[code.slice(0, 2)] ?? "unavailable";
  // No query has been looked at yet: a role or a setting is wrong.
  return stage === "enter" && kind === "rejected" ? "denied" : kind;
}

function networkCodeOf(error: unknown): string | null {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : null;
}
