// What can go wrong, as tables for documents; every row is one of the code's own.
import { CLOSINGS, type ErrorEntry, MESSAGE_ERRORS } from "../../src/errors.ts";
import { LIMITS } from "../../src/limits/limits.ts";

/** Closes of a socket: the code, its reason, and whether to come back. */
export function closingTable() {
  return Object.entries<ErrorEntry>(CLOSINGS)
    .filter(([, { closeCode }]) => closeCode !== null)
    .map(([name, { closeCode, sentence, retry, status }]) => ({
      code: closeCode,
      name,
      reason: sentence,
      come_back: retry,
      http_status: status,
    }))
    .sort((one, other) => Number(one.code) - Number(other.code));
}

/** Codes of `error` messages, which leave the socket open. */
export function errorTable() {
  return Object.entries<ErrorEntry>(MESSAGE_ERRORS).map(([code, { sentence, retry }]) => ({
    code,
    sentence,
    retry,
  }));
}

/** What bounds a client, with the values that hold unless an operator sets others. */
export function limitTable() {
  return Object.entries(LIMITS).map(([name, { setting, fallback, unit }]) => ({
    name,
    setting,
    value: fallback,
    unit,
  }));
}
