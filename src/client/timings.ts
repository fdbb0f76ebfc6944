// Every time span that the library waits for, in one place with its default; no other file may name one of its own.

export interface Timings {
  /** The first wait's ceiling. */
  readonly baseMs: number;
  /** The highest ceiling of a wait. */
  readonly maxMs: number;
  /** The shortest wait: what keeps any failure from becoming a hot loop. */
  readonly minMs: number;
  /** A connection that lived this long was a success, and the next wait is short again. */
  readonly stableMs: number;
  /** The least wait after a close that asks for patience and names no time. */
  readonly patienceMs: number;
  /** How long a handshake and the greeting may take together. */
  readonly openMs: number;
  /** Silence after which the service is asked whether it is there. */
  readonly quietMs: number;
  /** How long its answer may take. */
  readonly answerMs: number;
  /** How long the application may take to hand out a token. */
  readonly tokenMs: number;
  /** How long before its end a token is renewed in place. */
  readonly renewMs: number;
  /** What arrived so late while nobody listened is asked for again. The service looks back as far. */
  readonly lateMs: number;
}

export const DEFAULT_TIMINGS: Timings = {
  baseMs: 1_000,
  maxMs: 30_000,
  minMs: 250,
  stableMs: 5_000,
  patienceMs: 5_000,
  openMs: 15_000,
  quietMs: 20_000,
  answerMs: 10_000,
  tokenMs: 30_000,
  renewMs: 60_000,
  lateMs: 10_000,
};
