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
  rate_limited: entry(429, null, "after_delay", "Too many messages"),
  limit_exceeded: entry(429, null, "no", "Limit exceeded"),
  invalid_token: entry(401, null, "with_new_token", "Invalid or expired token"),
  source_unavailable: entry(503, null, "after_delay", "Source is unavailable"),
  internal: entry(500, null, "with_jitter", "Internal error"),
} as const satisfies Record<string, ErrorEntry>;

/** Faults of a whole connection: refused at the handshake or closed. */
export const CLOSINGS = {
  token_missing: entry(401, 4001, "with_new_token", "Missing token parameter"),
  invalid_token: entry(401, 4001, "with_new_token", "Invalid or expired token"),
  not_allowed: entry(403, 4003, "no", "Unauthorized"),
  ambiguous_credential: entry(400, null, "no", "Send exactly one credential"),
  origin_not_allowed: entry(403, null, "no", "Origin is not allowed"),
  too_many_requests: entry(429, null, "after_delay", "Too many requests"),
  too_many_connections: entry(429, 1013, "after_delay", "Too many connections"),
  too_many_crossings: entry(429, 1008, "after_delay", "Limits crossed too often"),
  message_too_big: entry(413, 1009, "no", "Message is too big"),
  keys_unavailable: entry(503, 1013, "after_delay", "Token can't be verified now"),
  draining: entry(503, 1012, "with_jitter", "Restarting"),
  going_away: entry(503, 1001, "with_jitter", "Service is going away"),
  slow_client: entry(503, 4008, "with_jitter", "Too slow for too long"),
  internal: entry(500, 1011, "with_jitter", "Internal error"),
} as const satisfies Record<string, ErrorEntry>;

/** Faults of one HTTP request: answered with a problem document. */
export const REQUEST_ERRORS = {
  ...CLOSINGS,
  invalid_parameter: entry(400, null, "no", "A parameter is not valid"),
  invalid_device_id: MESSAGE_ERRORS.invalid_device_id,
  method_not_allowed: entry(405, null, "no", "This path can only be read"),
  source_unavailable: MESSAGE_ERRORS.source_unavailable,
} as const satisfies Record<string, ErrorEntry>;

/** Seconds that `Retry-After` names where nothing says better. */
const RETRY_AFTER_SECONDS = 5;

/** What an HTTP answer about the fault says beside its status. */
export function headersOf(code: RequestErrorCode): Record<string, string> {
  const { status, retry } = REQUEST_ERRORS[code];
  if (status === 401) return { "www-authenticate": "Bearer" };
  const isPassing = retry === "after_delay" || retry === "with_jitter";
  return isPassing ? { "retry-after": String(RETRY_AFTER_SECONDS) } : {};
}

/** What a close without a close frame is called (RFC 6455, 7.4.1); nobody is told it. */
export const ABNORMAL_CLOSE = 1006;

export type MessageErrorCode = keyof typeof MESSAGE_ERRORS;
export type ClosingName = keyof typeof CLOSINGS;
export type RequestErrorCode = keyof typeof REQUEST_ERRORS;

function entry<Close extends number | null>(
  status: number,
  closeCode: Close,
  retry: Retry,
  sentence: string,
): { status: number; closeCode: Close; retry: Retry; sentence: string } {
  return { status, closeCode, retry, sentence };
}
