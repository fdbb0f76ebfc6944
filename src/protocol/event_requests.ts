// What the query of an event stream asks for: the same subscriptions that a socket's client sends, decoded by the same
// schemas. Pure.
import { decode } from "./decode.ts";
import { ALL_DEVICES } from "./message_fields.ts";
import { parseNanoInstant } from "./nano_instant.ts";
import type { ParameterError } from "./read_requests.ts";

export interface EventsRequest {
  /** What a socket's client would have sent, as text. */
  readonly messages: readonly string[];
  readonly deviceCount: number;
}

export interface EventsError extends ParameterError {
  readonly code: "invalid_parameter" | "invalid_device_id";
  /** The limit that was crossed, where it was one. */
  readonly limit?: "device_id_bytes";
}

export type ParsedEvents =
  | { readonly ok: true; readonly request: EventsRequest }
  | { readonly ok: false; readonly error: EventsError };

/** Parameters of the devices' subscription. */
const DEVICE_PARAMETERS = [
  "device_id",
  "metrics",
  "mode",
  "since",
  "history_seconds",
  "resolution_seconds",
] as const;
const FLAGS = ["changes_only", "alerts", "fleet"] as const;
/** Parameters that may stand more than once. */
const LISTS: ReadonlySet<string> = new Set(["device_id", "metrics"]);
/** Where a credential may stand; the door looks at them. */
const CREDENTIALS = ["token", "ticket"] as const;
/** Every parameter of an event stream. */
export const EVENT_PARAMETERS = [
  ...DEVICE_PARAMETERS,
  ...FLAGS,
  ...CREDENTIALS,
  "alerts_mode",
  "last_event_id",
] as const;
const KNOWN: ReadonlySet<string> = new Set(EVENT_PARAMETERS);
const SEEN_LENGTH = 64;

/** A subscription as a client would send it, and what its fields are called here where that is something else. */
interface Asked {
  readonly message: object;
  readonly renamed: Readonly<Record<string, string>>;
}

/** `lastEventId` is the header's, if there is one; the query's counts where there is none. */
export function parseEventsRequest(
  query: URLSearchParams,
  { lastEventId, maxDeviceIdBytes }: {
    readonly lastEventId: string | null;
    readonly maxDeviceIdBytes: number;
  },
): ParsedEvents {
  const misused = findMisused(query);
  if (misused !== null) return misused;
  const resumeFrom = readInstant(lastEventId || query.get("last_event_id"));
  if (resumeFrom === null) {
    return refuse("last_event_id", "last_event_id must be an id that this stream sent");
  }
  const deviceIds = [...new Set(query.getAll("device_id"))];
  if (deviceIds.length > 1 && deviceIds.includes(ALL_DEVICES)) {
    return refuse("device_id", `device_id must be ${ALL_DEVICES} alone, or name devices`);
  }
  const asked = [
    ...askForDevices(query, { deviceIds, resumeFrom }),
    ...askForAlerts(query, resumeFrom),
    ...(isSet(query, "fleet") ? [{ message: { type: "fleet" }, renamed: {} }] : []),
  ];
  if (asked.length === 0) return refuse("device_id", "Ask for device_id, alerts=1 or fleet=1");
  const messages: string[] = [];
  for (const { message, renamed } of asked) {
    const text = JSON.stringify({ action: "subscribe", ...message });
    const decoded = decode(text, { maxDeviceIdBytes });
    if (!decoded.ok) return { ok: false, error: errorOf(decoded.error, renamed) };
    messages.push(text);
  }
  return { ok: true, request: { messages, deviceCount: deviceIds.length } };
}

/** The refusal of a parameter that is unknown, stands twice, or belongs to what is not asked for. */
function findMisused(query: URLSearchParams): ParsedEvents | null {
  for (const name of new Set(query.keys())) {
    if (!KNOWN.has(name)) {
      return refuse(shorten(name), `${shorten(name)} is not a parameter of this path`);
    }
    if (!LISTS.has(name) && query.getAll(name).length > 1) {
      return refuse(name, `${name} must be given once`);
    }
  }
  for (const name of FLAGS) {
    const value = query.get(name);
    if (value !== null && value !== "0" && value !== "1") {
      return refuse(name, `${name} must be 0 or 1`);
    }
  }
  const idle = DEVICE_PARAMETERS.find((name) => query.has(name) && !query.has("device_id"));
  if (idle !== undefined) return refuse(idle, `${idle} must come with device_id`);
  const asksAlerts = isSet(query, "alerts");
  if (query.has("alerts_mode") && !asksAlerts) {
    return refuse("alerts_mode", "alerts_mode must come with alerts=1");
  }
  return isSet(query, "changes_only") && !asksAlerts && !query.has("device_id")
    ? refuse("changes_only", "changes_only must come with device_id or alerts=1")
    : null;
}

function askForDevices(
  query: URLSearchParams,
  { deviceIds, resumeFrom }: { deviceIds: readonly string[]; resumeFrom: string },
): readonly Asked[] {
  if (deviceIds.length === 0) return [];
  const [only] = deviceIds;
  const isAll = deviceIds.length === 1 && only === ALL_DEVICES;
  const metrics = query.getAll("metrics");
  // Who comes back goes on where it was, whatever the address that it keeps says about the first time; and windows are
  // for a chart's past, while what was missed is sent as it is stored.
  const start = resumeFrom === ""
    ? {
      ...given(query, "since"),
      ...wholeOf(query, "history_seconds"),
      ...wholeOf(query, "resolution_seconds"),
    }
    : { since: resumeFrom };
  const message = {
    type: "device",
    ...(isAll ? { device_id: only } : { device_ids: deviceIds }),
    ...(metrics.length === 0 ? {} : { metrics }),
    ...given(query, "mode"),
    ...(isSet(query, "changes_only") ? { changes_only: true } : {}),
    ...start,
  };
  return [{ message, renamed: { device_ids: "device_id" } }];
}

function askForAlerts(query: URLSearchParams, resumeFrom: string): readonly Asked[] {
  if (!isSet(query, "alerts")) return [];
  const mode = query.get("alerts_mode");
  const message = {
    type: "alerts",
    ...(mode === null ? {} : { mode }),
    ...(isSet(query, "changes_only") ? { changes_only: true } : {}),
    ...(mode === "changes" && resumeFrom !== "" ? { since: resumeFrom } : {}),
  };
  return [{ message, renamed: { mode: "alerts_mode" } }];
}

function isSet(query: URLSearchParams, name: (typeof FLAGS)[number]): boolean {
  return query.get(name) === "1";
}

function given(query: URLSearchParams, name: string): object {
  const value = query.get(name);
  return value === null ? {} : { [name]: value };
}

/** A number as JSON has it; what is none is left for the schema to refuse. */
function wholeOf(query: URLSearchParams, name: string): object {
  const value = query.get(name);
  if (value === null) return {};
  return { [name]: /^\d{1,15}$/.test(value) ? Number(value) : value };
}

/** Empty for none, null for what can't be read. */
function readInstant(written: string | null): string | null {
  return written === null || written === "" ? "" : parseNanoInstant(written);
}

/** The schemas' sentence about a field, in the words of this path. */
function errorOf(
  { code, message, limit }: Extract<ReturnType<typeof decode>, { ok: false }>["error"],
  renamed: Asked["renamed"],
): EventsError {
  // A sentence names its field before it repeats anything that a stranger wrote.
  const [field = "device_ids"] =
    /\b(?:device_ids?|[a-z]+_seconds|changes_only|metrics|mode|since)\b/
      .exec(message) ?? [];
  const parameter = renamed[field] ?? field;
  return {
    parameter,
    message: message.replace(field, parameter),
    code: code === "invalid_device_id" || code === "device_id_required"
      ? "invalid_device_id"
      : "invalid_parameter",
    ...(limit === undefined ? {} : { limit }),
  };
}

function refuse(parameter: string, message: string): ParsedEvents {
  return { ok: false, error: { parameter, message, code: "invalid_parameter" } };
}

/** A name that a stranger made up is not repeated at any length. */
function shorten(name: string): string {
  return name.length <= SEEN_LENGTH ? name : `${name.slice(0, SEEN_LENGTH).toWellFormed()}…`;
}
