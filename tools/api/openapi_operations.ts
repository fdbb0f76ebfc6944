// What each HTTP route takes and may answer, apart from its examples.
import type { z } from "zod";
import type { RequestErrorCode } from "../../src/errors.ts";
import { LIMITS } from "../../src/limits/limits.ts";
import { EVENT_PARAMETERS } from "../../src/protocol/event_requests.ts";
import {
  DeviceId,
  DeviceIdOrAll,
  HistorySeconds,
  Metrics,
  mode,
  ResolutionSeconds,
  SinceInstant,
} from "../../src/protocol/message_fields.ts";
import {
  AlertsQuery,
  DevicesQuery,
  historyQuery,
  LatestQuery,
} from "../../src/protocol/read_requests.ts";
import type { HttpAnswerName } from "./http_answers.ts";
import type { OperationKey } from "./http_examples.ts";
import { type JsonSchema, jsonSchemaOf } from "./json_schemas.ts";

export interface Operation {
  readonly operationId: string;
  readonly tag: "feed" | "reads" | "operations";
  readonly summary: string;
  readonly parameters: readonly object[];
  /** Statuses whose answers are no problem, with the kind of their body. */
  readonly answers: Readonly<Record<number, HttpAnswerName | "text" | "events" | null>>;
  readonly security: ReadonlyArray<Readonly<Record<string, readonly never[]>>>;
  readonly problems: readonly RequestErrorCode[];
}

const TARGET = "draft-2020-12";
const BEARER = [{ bearer: [] }];
const OF_TOKENS = [
  "ambiguous_credential",
  "token_missing",
  "invalid_token",
  "not_allowed",
  "too_many_requests",
  "keys_unavailable",
  "internal",
] as const satisfies readonly RequestErrorCode[];
const OF_READS = [...OF_TOKENS, "source_unavailable", "invalid_parameter"] as const;

type Place = "query" | "path" | "header";

function parameter(name: string, schema: JsonSchema, place: Place = "query"): object {
  const { description, ...form } = schema;
  return {
    name,
    in: place,
    ...(description === undefined ? {} : { description }),
    ...(place === "path" ? { required: true } : {}),
    schema: form,
  };
}

function queryOf(schema: z.ZodType): readonly object[] {
  const { properties = {} } = jsonSchemaOf(schema, TARGET);
  return Object.entries(properties as Record<string, JsonSchema>).map(([name, form]) =>
    parameter(name, form)
  );
}

const deviceInPath = parameter("id", jsonSchemaOf(DeviceId, TARGET), "path");
const flag = (description: string) => ({ type: "string", enum: ["0", "1"], description });
const instant = jsonSchemaOf(SinceInstant, TARGET);

const EVENT_FORMS: Readonly<Record<(typeof EVENT_PARAMETERS)[number], JsonSchema>> = {
  device_id: {
    ...jsonSchemaOf(Metrics, TARGET),
    maxItems: LIMITS.subscriptions.fallback,
    items: jsonSchemaOf(DeviceIdOrAll, TARGET),
    description: "A device, any number of times, or `*` once",
  },
  metrics: jsonSchemaOf(Metrics, TARGET),
  mode: { ...jsonSchemaOf(mode(["latest", "every"]), TARGET), description: "For the devices" },
  since: instant,
  history_seconds: jsonSchemaOf(HistorySeconds, TARGET),
  resolution_seconds: jsonSchemaOf(ResolutionSeconds, TARGET),
  changes_only: flag("`1`: only what changed"),
  alerts: flag("`1`: the open alerts"),
  fleet: flag("`1`: the counts of the fleet"),
  token: { type: "string", description: "The token, for who can't set a header" },
  ticket: { type: "string", description: "What a token was changed for" },
  alerts_mode: { ...jsonSchemaOf(mode(["list", "changes"]), TARGET), description: "For alerts" },
  last_event_id: { ...instant, description: "As the header, for who can't set one" },
};

export const OPERATIONS: Readonly<Record<OperationKey, Operation>> = {
  "GET /livez": {
    operationId: "isAlive",
    tag: "operations",
    summary: "Whether the process answers",
    parameters: [],
    answers: { 200: "text" },
    security: [],
    problems: [],
  },
  "GET /readyz": {
    operationId: "isReady",
    tag: "operations",
    summary: "Whether requests should come here: all was reached once, and nobody is leaving",
    parameters: [],
    answers: { 200: "Readiness", 503: "Readiness" },
    security: [],
    problems: [],
  },
  "GET /api/v2/health": {
    operationId: "getHealth",
    tag: "operations",
    summary: "What the sources are doing; no database is asked",
    parameters: [],
    answers: { 200: "Health" },
    security: [],
    problems: [],
  },
  "GET /metrics": {
    operationId: "getMetrics",
    tag: "operations",
    summary: "Numbers as Prometheus reads them, unless they have a port of their own",
    parameters: [],
    answers: { 200: "text" },
    security: [],
    problems: [],
  },
  "GET /api/v2/ws": {
    operationId: "openSocket",
    tag: "feed",
    summary: "Where a WebSocket is opened; what is said on it is described in asyncapi.yaml",
    parameters: [],
    answers: { 101: null, 426: "text" },
    security: [{ query_token: [] }, { ticket: [] }, { bearer: [] }],
    problems: [],
  },
  "POST /api/v2/ws-ticket": {
    operationId: "createTicket",
    tag: "feed",
    summary: "Changes a token for a ticket, which opens one socket or stream at this instance",
    parameters: [],
    answers: { 200: "Ticket" },
    security: BEARER,
    problems: [...OF_TOKENS, "going_away"],
  },
  "GET /api/v2/devices": {
    operationId: "listDevices",
    tag: "reads",
    summary: "Devices that reported lately",
    parameters: queryOf(DevicesQuery),
    answers: { 200: "DeviceList" },
    security: BEARER,
    problems: OF_READS,
  },
  "GET /api/v2/devices/{id}/telemetry": {
    operationId: "listSamples",
    tag: "reads",
    summary: "Stored samples of a device, from `start` up to and without `end`, newest first",
    parameters: [
      deviceInPath,
      ...queryOf(historyQuery({
        historySeconds: LIMITS.history_seconds.fallback,
        historySamples: LIMITS.history_samples.fallback,
      })),
    ],
    answers: { 200: "SampleList" },
    security: BEARER,
    problems: [...OF_READS, "invalid_device_id"],
  },
  "GET /api/v2/devices/{id}/telemetry/latest": {
    operationId: "listLatestSamples",
    tag: "reads",
    summary: "The newest samples of a device",
    parameters: [deviceInPath, ...queryOf(LatestQuery)],
    answers: { 200: "SampleList" },
    security: BEARER,
    problems: [...OF_READS, "invalid_device_id"],
  },
  "GET /api/v2/alerts": {
    operationId: "listAlerts",
    tag: "reads",
    summary: "Alerts of the tenant, newest first",
    parameters: queryOf(AlertsQuery),
    answers: { 200: "AlertList" },
    security: BEARER,
    problems: OF_READS,
  },
  "GET /api/v2/stream/status": {
    operationId: "getStreamStatus",
    tag: "operations",
    summary: "What the tenant has open, how its feed is, and how much of its limits it uses",
    parameters: [],
    answers: { 200: "StreamStatus" },
    security: BEARER,
    problems: OF_TOKENS,
  },
  "GET /api/v2/events": {
    operationId: "openEvents",
    tag: "feed",
    summary:
      "The feed as server-sent events: each is a message of asyncapi.yaml, named by its type",
    parameters: [
      ...EVENT_PARAMETERS.filter((name) => name !== "token" && name !== "ticket").map((name) =>
        parameter(name, EVENT_FORMS[name])
      ),
      parameter(
        "Last-Event-ID",
        { ...instant, description: "Goes on where a stream ended" },
        "header",
      ),
    ],
    answers: { 200: "events" },
    security: [{ query_token: [] }, { ticket: [] }, { bearer: [] }],
    problems: [
      ...OF_TOKENS,
      "invalid_parameter",
      "origin_not_allowed",
      "too_many_connections",
      "going_away",
    ],
  },
};
