// The one table of what a client can be told went wrong; no other file may invent a code or a close.

/** Whether a client should come back after a close, and when. */
export type Retry = "no" | "with_jitter" | "after_delay" | "with_new_token";

export interface ErrorEntry {
  /** Status of the same fault over plain HTTP. */
  readonly status: number;
  /** Code the socket is closed with; null where the socket stays open. */
  readonly closeCode: number | null;
  readonly retry: Retry;
  /** What the public may read: never SQL, a query, a host or a token. */
  readonly sentence: string;
}

/** Faults of one message or subscription: answered with an `error` message, the socket stays open. */
export const MESSAGE_ERRORS = {
  invalid_json: entry(400, null, "no", "Message is not valid JSON"),
  invalid_message: entry(400, null, "no", "Message does not have the expected form"),
  unsupported_data: entry(415, null, "no", "Binary frames are not supported, send JSON as text"),
  unknown_action: entry(400, null, "no", 'Unknown action, expected "subscribe" or "unsubscribe"'),
  unknown_type: entry(400, null, "no", 'Unknown type, expected "device" or "alerts"'),
  device_id_required: entry(400, null, "no", "device_id required for device subscription"),
  invalid_device_id: entry(400, null, "no", "device_id is not valid"),
  internal: entry(500, null, "with_jitter", "Internal error"),
} as const satisfies Record<string, ErrorEntry>;

/** Faults of a whole connection: refused at the handshake or closed. */
export const CLOSINGS = {
  token_missing: entry(401, 4001, "with_new_token", "Missing token parameter"),
  invalid_token: entry(401, 4001, "with_new_token", "Invalid or expired token"),
  not_allowed: entry(403, 4003, "no", "Unauthorized"),
  ambiguous_credential: entry(400, null, "no", "Send exactly one credential"),
  keys_unavailable: entry(503, 1013, "after_delay", "Token can't be verified now"),
  draining: entry(503, 1012, "with_jitter", "Restarting"),
  going_away: entry(503, 1001, "with_jitter", "Service is going away"),
  slow_client: entry(503, 4008, "with_jitter", "Too slow for too long"),
  internal: entry(500, 1011, "with_jitter", "Internal error"),
} as const satisfies Record<string, ErrorEntry>;

export type MessageErrorCode = keyof typeof MESSAGE_ERRORS;
export type ClosingName = keyof typeof CLOSINGS;

function entry<Close extends number | null>(
  status: number,
  closeCode: Close,
  retry: Retry,
  sentence: string,
): { status: number; closeCode: Close; retry: Retry; sentence: string } {
  return { status, closeCode, retry, sentence };
}
