// Turns a client's text into a message or into the error that answers it; it must never throw.
import { MESSAGE_ERRORS, type MessageErrorCode } from "../errors.ts";
import {
  type Action,
  ACTIONS,
  type Channel,
  CHANNELS,
  type ClientMessage,
  DEVICE_ID_REQUIRED,
  kindOf,
  SCHEMAS,
} from "./client_messages.ts";

/** Why a message could not be taken, as the `error` message will say it. */
export interface MessageError {
  readonly code: MessageErrorCode;
  readonly message: string;
}

export type Decoded =
  | { readonly ok: true; readonly message: ClientMessage }
  | { readonly ok: false; readonly error: MessageError };

/** Decodes one text frame. */
export function decode(text: string): Decoded {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse("invalid_json");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse("invalid_message", `Message must be a JSON object, not ${kindOf(value)}`);
  }
  const { action, type, device_id: deviceId } = value as Record<string, unknown>;
  if (typeof action !== "string") {
    return refuse("invalid_message", `action must be a string, not ${kindOf(action)}`);
  }
  if (!isOneOf(ACTIONS, action)) return refuse("unknown_action");
  if (typeof type !== "string") {
    return refuse("invalid_message", `type must be a string, not ${kindOf(type)}`);
  }
  if (!isOneOf(CHANNELS, type)) return refuse("unknown_type");
  return decodeAs(action, type, { value, deviceId });
}

function decodeAs(
  action: Action,
  type: Channel,
  { value, deviceId }: { value: object; deviceId: unknown },
): Decoded {
  if (type === "device" && (deviceId === undefined || deviceId === null || deviceId === "")) {
    return refuse("device_id_required", DEVICE_ID_REQUIRED[action]);
  }
  const parsed = SCHEMAS[action][type].safeParse(value);
  if (parsed.success) return { ok: true, message: parsed.data };
  const issue = parsed.error.issues[0];
  const code = issue?.path[0] === "device_id" ? "invalid_device_id" : "invalid_message";
  return refuse(code, issue?.message);
}

function isOneOf<const T extends readonly string[]>(known: T, value: string): value is T[number] {
  return known.includes(value);
}

function refuse(code: MessageErrorCode, message?: string): Decoded {
  return { ok: false, error: { code, message: message ?? MESSAGE_ERRORS[code].sentence } };
}
