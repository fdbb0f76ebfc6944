// What both query languages need to know about an InfluxDB; it must hold settings only.
import type { Clock } from "../../clock.ts";

export type InfluxAuth =
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  | { readonly kind: "none" };

export interface InfluxOptions {
  readonly url: string;
  /** Only Flux names it; empty for InfluxDB 1.x. */
  readonly org: string;
  readonly auth: InfluxAuth;
  /** PEM of an authority to trust beside the runtime's own. */
  readonly caCertificate?: string;
  /** Longest answer that is read; MAX_ANSWER_BYTES where nothing is said. */
  readonly maxAnswerBytes?: number;
  /** Holds `{tenant}`; a bucket of InfluxDB 2.x, a database of 1.x and 3.x. */
  readonly bucketTemplate: string;
  readonly measurement: string;
  readonly deviceTag: string;
  readonly lookbackMs: number;
  readonly futureMs: number;
  /** Fields that are not metrics. */
  readonly metadataKeys: readonly string[];
  readonly clock: Clock;
}
