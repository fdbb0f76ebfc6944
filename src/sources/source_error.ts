// The one error that leaves a source; it says whose fault it was, never what the query or the host was called in public.

/**
 * - `unavailable`: the database did not answer, or not with anything that can be read; everybody is hit
 * - `denied`: the database refuses our credentials or role; everybody is hit until an operator acts
 * - `missing`: this tenant's bucket does not exist, or is not ours to read; other tenants are not hit
 * - `rejected`: the database refuses this very query; asking for fewer devices may work
 */
export type SourceErrorKind = "unavailable" | "denied" | "missing" | "rejected";

/** Thrown by every source for every failure; `cause` keeps the driver's own error for the log. */
export class SourceError extends Error {
  override readonly name = "SourceError";
  readonly kind: SourceErrorKind;

  constructor(kind: SourceErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
