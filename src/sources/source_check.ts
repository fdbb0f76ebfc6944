// Finds out whether a database can be reached and is set up right, for those who ask before the first read does. It
// reaches it once, through its guard, and never throws.
import { SourceError, type SourceErrorKind } from "./source_error.ts";
import type { SourceGuard } from "./source_guard.ts";

export type SourceCheck =
  | { readonly ok: true }
  /** `denied` can't be right until an operator acts; `unavailable` may pass by itself. */
  | { readonly ok: false; readonly kind: SourceErrorKind; readonly message: string };

export interface Checkable {
  /** Reaches the database as a read would, without a tenant. Throws SourceError; an aborted signal rejects with its reason. */
  check(signal: AbortSignal): Promise<void>;
}

export async function checkSource(
  source: Checkable,
  { guard, signal }: { readonly guard: SourceGuard; readonly signal: AbortSignal },
): Promise<SourceCheck> {
  try {
    await guard.run(signal, (either) => source.check(either));
    return { ok: true };
  } catch (thrown) {
    // What a guard keeps from tenants is what is asked for here.
    const isKept = thrown instanceof SourceError && thrown.cause instanceof SourceError;
    const error = isKept ? thrown.cause : thrown;
    const kind = error instanceof SourceError ? error.kind : "unavailable";
    return { ok: false, kind, message: error instanceof Error ? error.message : String(error) };
  }
}
