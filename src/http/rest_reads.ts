// What the HTTP reads ask of whoever can answer; it must know no database.
import type { SourceName } from "../protocol/server_messages.ts";

/** `unavailable`: nobody can be read now; `missing`: the tenant has nothing to read from; `busy`: too many ask at once. */
export type Refusal = "unavailable" | "missing" | "busy";

export type RestAnswer<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly refusal: Refusal; readonly retryAfterMs: number };

export interface RestQuery {
  readonly tenantId: string;
  /** Falls when the client is gone. */
  readonly signal: AbortSignal;
}

export interface RestSamples {
  /** Newest first, ready to be sent. */
  readonly samples: readonly { readonly timestamp: string; readonly metrics: object }[];
  readonly isTruncated: boolean;
  /** Whether some stored samples could not be understood and are left out. */
  readonly isIncomplete: boolean;
}

export type SourceStates = Readonly<Record<SourceName, "unknown" | "ok" | "degraded">>;

/** Every question rejects with its signal's reason, and with whatever is our own fault. */
export interface RestReads {
  states(): SourceStates | Promise<SourceStates>;
  devices(query: RestQuery & { readonly limit: number }): Promise<
    RestAnswer<{
      readonly devices: readonly { readonly device_id: string; readonly last: string }[];
      readonly truncated: boolean;
    }>
  >;
  latest(
    query: RestQuery & { readonly deviceId: string; readonly count: number },
  ): Promise<RestAnswer<RestSamples>>;
  samples(
    query: RestQuery & {
      readonly deviceId: string;
      /** Excluded; an instant with nine digits, like `until`, which is included. */
      readonly after: string;
      readonly until: string;
      readonly maxSamples: number;
      readonly resolutionSeconds: number | null;
    },
  ): Promise<RestAnswer<RestSamples>>;
  alerts(
    query: RestQuery & { readonly status: "OPEN" | "CLOSED" | "ALL"; readonly limit: number },
  ): Promise<RestAnswer<readonly object[]>>;
}
