// Examples of what clients send, each with its answer. Tests send each of them to a running service; what it says
// otherwise is a fault of one of the two.
import type { ServerMessage } from "../../src/protocol/server_messages.ts";
import { SERVER } from "../../src/version.ts";
import { EXAMPLE_TOKEN } from "./example_plant.ts";
import type { ClientMessageName } from "./json_schemas.ts";

export interface ClientExample {
  readonly name: string;
  readonly summary: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly answer: ServerMessage;
}

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
