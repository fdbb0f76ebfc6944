// What a read says to PostgreSQL and gets back, as plain data; it must never build text out of values.

/** Goes out as text and takes the type that the statement casts it to; a list becomes `text[]`. */
export type StatementParameter = string | number | null | readonly string[];

export interface Statement {
  /** One SQL statement with `$1`, `$2`… where `parameters` stand. */
  readonly text: string;
  readonly parameters: readonly StatementParameter[];
}

/** Every value is PostgreSQL's own text, so that nothing is rounded on the way; NULL is null. */
export type Row = Readonly<Record<string, string | null>>;

/** One list of rows for each statement, in the statements' order. */
export type Answers<S extends readonly Statement[]> = { readonly [K in keyof S]: readonly Row[] };
