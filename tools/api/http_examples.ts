// Examples of requests and of what answers them, on the plant of the socket's examples. Tests make each of these requests
// of a running service.
import type { RequestErrorCode } from "../../src/errors.ts";
import { SERVER } from "../../src/version.ts";
import { EXAMPLE_PLANT } from "./example_plant.ts";

export interface HttpExample {
  readonly name: string;
  readonly summary: string;
  /** Method, path and query. */
  readonly request: string;
  readonly status: number;
  /** An object as JSON, otherwise the text. */
  readonly value: unknown;
}

/** Paths as documents name them, each with its method before it. */
export type OperationKey = keyof typeof HTTP_EXAMPLES;

const { samples, alerts } = EXAMPLE_PLANT;
const [earlier, newest] = samples["dev-0001"];
const [silent] = samples["dev-0003"];
const sources = { telemetry: "ok", alerts: "ok" };

export function problemOf(
  code: RequestErrorCode,
  { title, status, ...more }: {
    readonly title: string;
    readonly status: number;
    readonly detail?: string;
    readonly parameter?: string;
  },
) {
  return { type: "about:blank", title, status, code, ...more };
}

function invalid(request: string, more: { readonly parameter: string; readonly detail: string }) {
  const { parameter, detail } = more;
  const value = problemOf("invalid_parameter", {
    title: "A parameter is not valid",
    status: 400,
    detail,
    parameter,
  });
  return { name: "invalid_parameter", summary: detail, request, status: 400, value };
}

function notADevice(request: string): HttpExample {
  const detail = 'device_id must not be "*", which is reserved';
  const value = problemOf("invalid_device_id", {
    title: "device_id is not valid",
    status: 400,
    detail,
  });
  return { name: "invalid_device_id", summary: detail, request, status: 400, value };
}

function ok(
  request: string,
  { name, summary, value }: Pick<HttpExample, "name" | "summary" | "value">,
): HttpExample {
  return { name, summary, request, status: 200, value };
}

export const HTTP_EXAMPLES = {
  "GET /livez": [ok("GET /livez", { name: "alive", summary: "It answers", value: "ok\n" })],
  "GET /readyz": [
    ok("GET /readyz", {
      name: "ready",
      summary: "Databases and keys were reached",
      value: { status: "ready", draining: false, keys: "ok", sources },
    }),
  ],
  "GET /api/v2/health": [
    ok("GET /api/v2/health", {
      name: "ok",
      summary: "Both sources can be read",
      value: { status: "ok", server: SERVER, sources },
    }),
  ],
  "GET /metrics": [],
  "GET /api/v2/ws": [{
    name: "no_upgrade",
    summary: "The request asked for no WebSocket",
    request: "GET /api/v2/ws",
    status: 426,
    value: "Upgrade to WebSocket required\n",
  }],
  "POST /api/v2/ws-ticket": [
    ok("POST /api/v2/ws-ticket", {
      name: "ticket",
      summary: "Good once, for 30 s",
      value: { ticket: "uYz4cVq1bQd0e3Jr7kLmNw", expires_in: 30 },
    }),
  ],
  "GET /api/v2/devices": [
    ok("GET /api/v2/devices", {
      name: "all",
      summary: "The devices that reported lately",
      value: {
        tenant_id: "acme",
        devices: [
          { device_id: "dev-0001", last: newest.timestamp },
          { device_id: "dev-0003", last: silent.timestamp },
        ],
        count: 2,
      },
    }),
    ok("GET /api/v2/devices?limit=1", {
      name: "cut",
      summary: "More than were asked for",
      value: {
        tenant_id: "acme",
        devices: [{ device_id: "dev-0001", last: newest.timestamp }],
        count: 1,
        truncated: true,
      },
    }),
    invalid("GET /api/v2/devices?limit=0", {
      parameter: "limit",
      detail: "limit must be a whole number from 1 to 10000",
    }),
  ],
  "GET /api/v2/devices/{id}/telemetry": [
    ok("GET /api/v2/devices/dev-0001/telemetry?start=2026-11-18T12:00:00%2B01:00&limit=100", {
      name: "range",
      summary: "Stored samples, newest first",
      value: { device_id: "dev-0001", telemetry: [newest, earlier], count: 2 },
    }),
    ok("GET /api/v2/devices/dev-0002/telemetry", {
      name: "none",
      summary: "A device that was never heard of",
      value: { device_id: "dev-0002", telemetry: [], count: 0 },
    }),
    invalid(
      "GET /api/v2/devices/dev-0001/telemetry?start=2026-11-18T11:06:00Z&end=2026-11-18T11:05:00Z",
      {
        parameter: "end",
        detail: "end must be later than start",
      },
    ),
    notADevice("GET /api/v2/devices/*/telemetry"),
  ],
  "GET /api/v2/devices/{id}/telemetry/latest": [
    ok("GET /api/v2/devices/dev-0001/telemetry/latest?count=1", {
      name: "newest",
      summary: "The newest sample",
      value: { device_id: "dev-0001", telemetry: [newest], count: 1 },
    }),
    invalid("GET /api/v2/devices/dev-0001/telemetry/latest?count=11", {
      parameter: "count",
      detail: "count must be a whole number from 1 to 10",
    }),
    notADevice("GET /api/v2/devices/*/telemetry/latest"),
  ],
  "GET /api/v2/alerts": [
    ok("GET /api/v2/alerts", {
      name: "open",
      summary: "The open alerts",
      value: { tenant_id: "acme", alerts, count: 1 },
    }),
    ok("GET /api/v2/alerts?status=CLOSED", {
      name: "closed",
      summary: "There are none that are closed",
      value: { tenant_id: "acme", alerts: [], count: 0 },
    }),
    invalid("GET /api/v2/alerts?status=open", {
      parameter: "status",
      detail: "status must be OPEN, CLOSED or ALL",
    }),
  ],
  "GET /api/v2/stream/status": [
    ok("GET /api/v2/stream/status", {
      name: "idle",
      summary: "Nobody of the tenant is connected",
      value: {
        tenant_id: "acme",
        server: SERVER,
        connections: { websocket: 0, events: 0 },
        subscriptions: { device: 0, all_devices: 0, alerts: 0, fleet: 0 },
        feed: { state: "idle", devices: 0, sources: { telemetry: null, alerts: null } },
        sources,
        limits: {
          connections_per_tenant: { value: 10_000, used: 0 },
          connections_per_user: { value: 200, used: 0 },
          subscriptions: { value: 500, used: 0 },
          messages_per_second: { value: 50 },
          requests_per_second: { value: 50 },
          fleet_devices: { value: 10_000 },
          open_alerts: { value: 1_000 },
        },
      },
    }),
  ],
  "GET /api/v2/events": [
    ok("GET /api/v2/events?device_id=dev-0001&metrics=temp_c&alerts=1", {
      name: "device_and_alerts",
      summary: "How a stream of a device and of alerts begins, without its greeting",
      value: [
        "event: subscribed",
        'data: {"type":"subscribed","channel":"device","device_ids":["dev-0001"]}',
        "",
        "event: subscribed",
        'data: {"type":"subscribed","channel":"alerts"}',
        "",
        "event: telemetry",
        `data: ${
          JSON.stringify({
            type: "telemetry",
            device_id: "dev-0001",
            data: { ...newest, metrics: { temp_c: newest.metrics.temp_c } },
          })
        }`,
        "",
        "",
      ].join("\n"),
    }),
    invalid("GET /api/v2/events", {
      parameter: "device_id",
      detail: "Ask for device_id, alerts=1 or fleet=1",
    }),
  ],
} as const satisfies Readonly<Record<string, readonly HttpExample[]>>;
