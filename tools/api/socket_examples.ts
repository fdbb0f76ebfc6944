// Examples of the socket's messages, on the devices and alerts of one made-up plant. Tests send each of them to a running
// service, or make it send each; what the service says otherwise is a fault of one of the two.
import type { MessageErrorCode } from "../../src/errors.ts";
import type { ServerMessage } from "../../src/protocol/server_messages.ts";
import { SERVER } from "../../src/version.ts";
import type { ClientMessageName, ServerMessageName } from "./json_schemas.ts";

export interface ClientExample {
  readonly name: string;
  readonly summary: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly answer: ServerMessage;
}

export interface ServerExample {
  readonly name: string;
  readonly summary: string;
  readonly payload: ServerMessage;
}

export interface ErrorExample {
  readonly code: MessageErrorCode;
  readonly summary: string;
  /** The text of the frame that is answered so. */
  readonly sent: string;
  readonly payload: ServerMessage;
}

/** Where an example shows a token. */
export const EXAMPLE_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyLTEifQ.c2lnbmF0dXJl";

const OPEN_ALERT = {
  alert_id: 7,
  tenant_id: "acme",
  device_id: "dev-0001",
  site_id: "plant-a",
  alert_type: "over_temperature",
  severity: 3,
  confidence: 0.9,
  summary: "Too warm",
  status: "OPEN",
  created_at: "2026-11-18T11:06:42.123456Z",
} as const;
const NEW_ALERT = {
  ...OPEN_ALERT,
  alert_id: 8,
  alert_type: "low_battery",
  severity: null,
  confidence: null,
  summary: "Battery at 9 %",
  created_at: "2026-11-18T11:07:03.004211Z",
} as const;
const EARLIER = { timestamp: "2026-11-18T11:05:02.000000000Z", metrics: { temp_c: 21.5 } };
const NEWEST = {
  timestamp: "2026-11-18T11:06:42.123456789Z",
  metrics: { temp_c: 22, battery_pct: 88, mode: "auto" },
};
const SILENT = { timestamp: "2026-11-18T11:01:42.000000000Z", metrics: { temp_c: 4 } };

/** What the databases hold when the examples are played. */
export const EXAMPLE_PLANT = {
  nowMs: Date.UTC(2026, 10, 18, 11, 7, 0),
  samples: { "dev-0001": [EARLIER, NEWEST], "dev-0003": [SILENT] },
  alerts: [OPEN_ALERT],
  /** What they hold when alert 8 was opened and alert 7 closed. */
  laterAlerts: [NEW_ALERT],
} as const;

export const CLIENT_EXAMPLES: Readonly<Record<ClientMessageName, readonly ClientExample[]>> = {
  subscribe_device: [
    {
      name: "one_device",
      summary: "The newest sample of a device, at every tick",
      payload: { action: "subscribe", type: "device", device_id: "dev-0001" },
      answer: { type: "subscribed", channel: "device", device_id: "dev-0001" },
    },
    {
      name: "every_device",
      summary: "All devices of the tenant, what changed of them only",
      payload: { action: "subscribe", type: "device", device_id: "*", changes_only: true, id: 4 },
      answer: { type: "subscribed", channel: "device", device_id: "*", id: 4 },
    },
    {
      name: "resume",
      summary: "Every sample of two devices, for one of them from where the client was",
      payload: {
        action: "subscribe",
        type: "device",
        device_ids: ["dev-0001", "dev-0002"],
        mode: "every",
        metrics: ["temp_c"],
        since: { "dev-0001": "2026-11-18T12:05:00+01:00" },
        id: "r1",
      },
      answer: {
        type: "subscribed",
        channel: "device",
        device_ids: ["dev-0001", "dev-0002"],
        resume: { "dev-0001": { from: "2026-11-18T11:05:00.000000000Z", complete: true } },
        id: "r1",
      },
    },
    {
      name: "too_far_back",
      summary: "More history than the service goes back",
      payload: {
        action: "subscribe",
        type: "device",
        device_id: "dev-0001",
        since: "2026-11-01T00:00:00Z",
        resolution_seconds: 60,
        id: "r2",
      },
      answer: {
        type: "subscribed",
        channel: "device",
        device_id: "dev-0001",
        resume: {
          "dev-0001": {
            from: "2026-11-17T10:07:00.000000000Z",
            complete: false,
            reason: "too_old",
          },
        },
        id: "r2",
      },
    },
  ],
  subscribe_alerts: [
    {
      name: "list",
      summary: "The list of open alerts, at every tick",
      payload: { action: "subscribe", type: "alerts", id: 7 },
      answer: { type: "subscribed", channel: "alerts", id: 7 },
    },
    {
      name: "changes",
      summary: "What changed in the open alerts, from an instant on",
      payload: {
        action: "subscribe",
        type: "alerts",
        mode: "changes",
        since: "2026-11-18T11:05:00Z",
      },
      answer: {
        type: "subscribed",
        channel: "alerts",
        resume: { from: "2026-11-18T11:05:00.000000000Z", complete: true },
      },
    },
  ],
  subscribe_fleet: [{
    name: "counts",
    summary: "How many devices and alerts there are",
    payload: { action: "subscribe", type: "fleet" },
    answer: { type: "subscribed", channel: "fleet" },
  }],
  unsubscribe_device: [
    {
      name: "one_device",
      summary: "No more of a device, whether or not it was followed",
      payload: { action: "unsubscribe", type: "device", device_id: "dev-0001" },
      answer: { type: "unsubscribed", channel: "device", device_id: "dev-0001" },
    },
    {
      name: "some_devices",
      summary: "No more of several",
      payload: { action: "unsubscribe", type: "device", device_ids: ["dev-0001", "dev-0002"] },
      answer: { type: "unsubscribed", channel: "device", device_ids: ["dev-0001", "dev-0002"] },
    },
  ],
  unsubscribe_alerts: [{
    name: "all",
    summary: "No more alerts",
    payload: { action: "unsubscribe", type: "alerts" },
    answer: { type: "unsubscribed", channel: "alerts" },
  }],
  unsubscribe_fleet: [{
    name: "all",
    summary: "No more counts",
    payload: { action: "unsubscribe", type: "fleet" },
    answer: { type: "unsubscribed", channel: "fleet" },
  }],
  ping: [{
    name: "ping",
    summary: "Whether the service still hears",
    payload: { action: "ping", id: "p-1" },
    answer: { type: "pong", id: "p-1" },
  }],
  hello: [{
    name: "features",
    summary: "Asks for all that goes beyond the core, and for something that there is not",
    payload: { action: "hello", features: ["notices", "batch", "as_of", "telepathy"] },
    answer: {
      type: "hello",
      server: SERVER,
      poll_seconds: 5,
      features: ["notices", "batch", "as_of"],
      limits: {
        message_bytes: 65_536,
        messages_per_second: 50,
        subscriptions: 500,
        connections_per_user: 200,
      },
      token_expires_at: "2026-11-18T12:07:05.000Z",
    },
  }],
  auth: [{
    name: "renewal",
    summary: "Goes on with another token of the same user",
    payload: { action: "auth", token: EXAMPLE_TOKEN, id: 9 },
    answer: { type: "authenticated", expires_at: "2026-11-18T12:07:05.000Z", id: 9 },
  }],
};

/** What is sent unasked, or because of a subscription. */
export const PUSH_EXAMPLES: Readonly<
  Record<
    Exclude<
      ServerMessageName,
      "subscribed" | "unsubscribed" | "pong" | "hello" | "authenticated" | "error"
    >,
    readonly ServerExample[]
  >
> = {
  telemetry: [
    {
      name: "newest",
      summary: "The newest sample of a device",
      payload: { type: "telemetry", device_id: "dev-0001", data: NEWEST },
    },
    {
      name: "chosen_and_dated",
      summary: "One metric of it, with the feature `as_of`",
      payload: {
        type: "telemetry",
        device_id: "dev-0001",
        data: { ...NEWEST, metrics: { temp_c: 22 } },
        as_of: "2026-11-18T11:07:00.031Z",
      },
    },
  ],
  alerts: [
    {
      name: "open",
      summary: "All open alerts",
      payload: { type: "alerts", alerts: [OPEN_ALERT] },
    },
    {
      name: "none",
      summary: "None is open",
      payload: { type: "alerts", alerts: [] },
    },
  ],
  alert_changes: [{
    name: "opened_and_closed",
    summary: "One was opened and one was closed",
    payload: { type: "alert_changes", opened: [NEW_ALERT], updated: [], closed: [7] },
  }],
  fleet: [{
    name: "counts",
    summary: "Two devices, one of them silent, and an open alert",
    payload: {
      type: "fleet",
      devices: { total: 2, online: 1, stale: 1 },
      alerts: { open: 1, by_severity: { "3": 1 } },
    },
  }],
  history: [{
    name: "last_page",
    summary: "The last page of what a subscribe with the id r1 asked for",
    payload: {
      type: "history",
      device_id: "dev-0001",
      samples: [EARLIER, { ...NEWEST, metrics: { temp_c: 22 } }],
      done: true,
      id: "r1",
    },
  }],
  batch: [{
    name: "one_tick",
    summary: "All that one read brought, with the feature `batch`",
    payload: {
      type: "batch",
      as_of: "2026-11-18T11:07:00.031Z",
      messages: [{ type: "telemetry", device_id: "dev-0001", data: NEWEST }],
    },
  }],
  token_expiring: [{
    name: "a_minute_left",
    summary: "The token ends soon, and the socket with it",
    payload: { type: "token_expiring", expires_at: "2026-11-18T11:07:55.000Z" },
  }],
  reconnect: [{
    name: "restart",
    summary: "The service is about to leave",
    payload: { type: "reconnect", after_ms: 4_210 },
  }],
  status: [{
    name: "degraded",
    summary: "Telemetry can't be read now",
    payload: {
      type: "status",
      source: "telemetry",
      state: "degraded",
      since: "2026-11-18T11:07:00.000Z",
      retry_in_ms: 3_800,
    },
  }],
  stale: [{
    name: "silent",
    summary: "A followed device has not reported for long",
    payload: { type: "stale", device_id: "dev-0003", last: SILENT.timestamp },
  }],
};

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
