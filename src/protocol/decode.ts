// Turns a client's text into a message or into the error that answers it; it must never throw.
import { Buffer } from "node:buffer";
import { MESSAGE_ERRORS, type MessageErrorCode } from "../errors.ts";
import {
  ACTIONS,
  type Channel,
  CHANNELS,
  type ClientMessage,
  CONNECTION_SCHEMAS,
  DEVICE_ID_REQUIRED,
  INVALID_MESSAGE_ID,
  kindOf,
  MAX_DEVICE_ID_BYTES,
  MessageId,
  SUBSCRIPTION_SCHEMAS,
  type SubscriptionAction,
} from "./client_messages.ts";

/** Why a message could not be taken, as the `error` message will say it. */
export interface MessageError {
  readonly code: MessageErrorCode;
  readonly message: string;
  /** The limit that was crossed, where it was one. */
  readonly limit?: "device_id_bytes";
}

export interface DecodeOptions {
  /** Bytes of the longest device id; at most what the schema allows. */
  readonly maxDeviceIdBytes: number;
}

/** A message or an error, and the id to answer under, where the client gave one that can be used. */
export type Decoded =
  & { readonly id: MessageId | null }
  & (
    | { readonly ok: true; readonly message: ClientMessage }
    | { readonly ok: false; readonly error: MessageError }
  );

type Verdict =
  | { readonly ok: true; readonly message: ClientMessage }
  | { readonly ok: false; readonly error: MessageError };

/** Decodes one text frame. */
export function decode(
  text: string,
  options: DecodeOptions = { maxDeviceIdBytes: MAX_DEVICE_ID_BYTES },
): Decoded {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { id: null, ...refuse("invalid_json") };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const problem = `Message must be a JSON object, not ${kindOf(value)}`;
    return { id: null, ...refuse("invalid_message", problem) };
  }
  const fields = value as Record<string, unknown>;
  if (fields.id === undefined) return { id: null, ...decodeFields(fields, options) };
  const id = MessageId.safeParse(fields.id);
  return id.success
    ? { id: id.data, ...decodeFields(fields, options) }
    : { id: null, ...refuse("invalid_message", INVALID_MESSAGE_ID) };
}

function decodeFields(
  fields: Readonly<Record<string, unknown>>,
  { maxDeviceIdBytes }: DecodeOptions,
): Verdict {
  const { action, type } = fields;
  if (typeof action !== "string") {
    return refuse("invalid_message", `action must be a string, not ${kindOf(action)}`);
  }
  if (!isOneOf(ACTIONS, action)) return refuse("unknown_action");
  if (action !== "subscribe" && action !== "unsubscribe") {
    const parsed = CONNECTION_SCHEMAS[action].safeParse(fields);
    return parsed.success
      ? { ok: true, message: parsed.data }
      : refuse("invalid_message", parsed.error.issues[0]?.message);
  }
  if (typeof type !== "string") {
    return refuse("invalid_message", `type must be a string, not ${kindOf(type)}`);
  }
  if (!isOneOf(CHANNELS, type)) return refuse("unknown_type");
  const { device_id: deviceId } = fields;
  if (type === "device" && typeof deviceId === "string" && isLonger(deviceId, maxDeviceIdBytes)) {
    const message = `device_id must be at most ${maxDeviceIdBytes} bytes of UTF-8`;
    return { ok: false, error: { code: "invalid_device_id", message, limit: "device_id_bytes" } };
  }
  return decodeSubscription(action, type, fields);
}

function isLonger(text: string, bytes: number): boolean {
  return text.length > bytes || Buffer.byteLength(text) > bytes;
}

function decodeSubscription(
  action: SubscriptionAction,
  type: Channel,
  fields: Readonly<Record<string, unknown>>,
): Verdict {
  const { device_id: deviceId } = fields;
  if (type === "device" && (deviceId === undefined || deviceId === null || deviceId === "")) {
    return refuse("device_id_required", DEVICE_ID_REQUIRED[action]);
  }
  const parsed = SUBSCRIPTION_SCHEMAS[action][type].safeParse(fields);
  if (parsed.success) return { ok: true, message: parsed.data };
  const issue = parsed.error.issues[0];
  const code = issue?.path[0] === "device_id" ? "invalid_device_id" : "invalid_message";
  return refuse(code, issue?.message);
}

function isOneOf<const T extends readonly string[]>(known: T, value: string): value is T[number] {
  return known.includes(value);
}

function refuse(code: MessageErrorCode, message?: string): Verdict {
  return { ok: false, error: { code, message: message ?? MESSAGE_ERRORS[code].sentence } };
}
