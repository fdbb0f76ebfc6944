// Examples of what the service sends unasked, or because somebody follows. Tests make a running service send each of them.
import type { ServerMessage } from "../../src/protocol/server_messages.ts";
import { EARLIER, NEW_ALERT, NEWEST, OPEN_ALERT, SILENT } from "./example_plant.ts";
import type { ServerMessageName } from "./json_schemas.ts";

export interface ServerExample {
  readonly name: string;
  readonly summary: string;
  readonly payload: ServerMessage;
}

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
