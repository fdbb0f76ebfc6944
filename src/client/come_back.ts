// The protocol's column "come back?" as a function; no other file may decide by a close code.

/**
 * - `jittered`: after a random delay.
 * - `patient`: after the `retry_after_ms` of the last error.
 * - `announced`: after the time that the service announced, otherwise after a random delay.
 * - `new_token`: with another token.
 * - `never`: the same would happen again.
 */
export type ComeBack = "jittered" | "patient" | "announced" | "new_token" | "never";

const CODES: ReadonlyMap<number, ComeBack> = new Map([
  [1001, "jittered"],
  [1008, "patient"],
  [1009, "never"],
  [1011, "jittered"],
  [1012, "announced"],
  [1013, "patient"],
  [4001, "new_token"],
  [4003, "never"],
  [4008, "jittered"],
]);

/** Codes that are not known, and an end without one, are like a fault of the service. */
export function comeBack(code: number): ComeBack {
  return CODES.get(code) ?? "jittered";
}
