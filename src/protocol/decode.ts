// Turns a client's text into a message or into the error that answers it; it must never throw.
import { MESSAGE_ERRORS, type MessageErrorCode } from "../errors.ts";
import {
  ACTIONS,
  type Channel,
  CHANNELS,
  type ClientMessage,
  CONNECTION_SCHEMAS,
  DEVICE_ID_REQUIRED,
  INVALID_MESSAGE_ID,
  MessageId,
  SUBSCRIPTION_SCHEMAS,
  type SubscriptionAction,
} from "./client_messages.ts";
import { codeOf, isLongerThan, kindOf, MAX_DEVICE_ID_BYTES } from "./message_fields.ts";

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
  return decodeSubscription(fields, { action, type, maxDeviceIdBytes });
}

function decodeSubscription(
  fields: Readonly<Record<string, unknown>>,
  { action, type, maxDeviceIdBytes }: DecodeOptions & {
    readonly action: SubscriptionAction;
    readonly type: Channel;
  },
): Verdict {
  for (const [name, ids] of idsIn(fields, { action, type })) {
    if (!ids.some((id) => typeof id === "string" && isLongerThan(id, maxDeviceIdBytes))) continue;
    const message = `${name} must be at most ${maxDeviceIdBytes} bytes of UTF-8`;
    return { ok: false, error: { code: "invalid_device_id", message, limit: "device_id_bytes" } };
  }
  const { device_id, device_ids } = fields;
  const isUnnamed = device_id === undefined || device_id === null || device_id === "";
  if (type === "device" && isUnnamed && device_ids === undefined) {
    return refuse("device_id_required", DEVICE_ID_REQUIRED[action]);
  }
  const parsed = SUBSCRIPTION_SCHEMAS[action][type].safeParse(fields);
  if (parsed.success) return { ok: true, message: parsed.data };
  const issue = parsed.error.issues[0];
  return refuse(codeOf(issue), issue?.message);
}

/** All that would name devices, by what a sentence calls it. Ids are bounded before anything else is done with them. */
function idsIn(
  fields: Readonly<Record<string, unknown>>,
  { action, type }: { action: SubscriptionAction; type: Channel },
): ReadonlyArray<readonly [name: string, ids: readonly unknown[]]> {
  const { device_id, device_ids, since } = fields;
  const listed: readonly unknown[] = Array.isArray(device_ids) ? device_ids : [];
  const isWithSince = typeof since === "object" && since !== null && !Array.isArray(since);
  const ofList = ["Each of device_ids", listed] as const;
  if (type === "fleet") return [];
  if (type === "alerts") return action === "subscribe" ? [ofList] : [];
  const ofSince = ["Each device in since", isWithSince ? Object.keys(since) : []] as const;
  return [["device_id", [device_id]], ofList, ...(action === "subscribe" ? [ofSince] : [])];
}

function isOneOf<const T extends readonly string[]>(known: T, value: string): value is T[number] {
  return known.includes(value);
}

function refuse(code: MessageErrorCode, message?: string): Verdict {
  return { ok: false, error: { code, message: message ?? MESSAGE_ERRORS[code].sentence } };
}
