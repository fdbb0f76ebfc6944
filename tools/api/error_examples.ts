// Examples of messages that can't be taken, as text, each with the error that answers it. Tests send each of them.
import type { MessageErrorCode } from "../../src/errors.ts";
import type { ServerMessage } from "../../src/protocol/server_messages.ts";

export interface ErrorExample {
  readonly code: MessageErrorCode;
  readonly summary: string;
  /** The text of the frame that is answered so. */
  readonly sent: string;
  readonly payload: ServerMessage;
}

export const ERROR_EXAMPLES: readonly ErrorExample[] = [
  {
    code: "invalid_json",
    summary: "The text is not JSON",
    sent: "{",
    payload: { type: "error", message: "Message is not valid JSON", code: "invalid_json" },
  },
  {
    code: "invalid_message",
    summary: "Two fields don't go together",
    sent:
      '{"action":"subscribe","type":"device","device_id":"dev-0001","resolution_seconds":60,"id":3}',
    payload: {
      type: "error",
      message: "resolution_seconds must come with since or history_seconds",
      code: "invalid_message",
      id: 3,
    },
  },
  {
    code: "unknown_action",
    summary: "There is no such action",
    sent: '{"action":"fly"}',
    payload: {
      type: "error",
      message: 'Unknown action, expected "subscribe" or "unsubscribe"',
      code: "unknown_action",
    },
  },
  {
    code: "unknown_type",
    summary: "There is no such channel",
    sent: '{"action":"subscribe","type":"site"}',
    payload: {
      type: "error",
      message: 'Unknown type, expected "device" or "alerts"',
      code: "unknown_type",
    },
  },
  {
    code: "device_id_required",
    summary: "No device is named",
    sent: '{"action":"subscribe","type":"device"}',
    payload: {
      type: "error",
      message: "device_id required for device subscription",
      code: "device_id_required",
    },
  },
  {
    code: "invalid_device_id",
    summary: "What is named is no device",
    sent: '{"action":"subscribe","type":"device","device_id":5}',
    payload: {
      type: "error",
      message: "device_id must be a string, not a number",
      code: "invalid_device_id",
    },
  },
  {
    code: "invalid_token",
    summary: "The token of a renewal can't be accepted; the old one goes on",
    sent: '{"action":"auth","token":"not-a-token","id":10}',
    payload: {
      type: "error",
      message: "Invalid or expired token",
      code: "invalid_token",
      id: 10,
    },
  },
  {
    code: "limit_exceeded",
    summary: "The 501st device of a connection",
    sent: '{"action":"subscribe","type":"device","device_id":"dev-0501","id":501}',
    payload: {
      type: "error",
      message: "More than 500 device subscriptions",
      code: "limit_exceeded",
      limit: "subscriptions",
      value: 500,
      id: 501,
    },
  },
];
