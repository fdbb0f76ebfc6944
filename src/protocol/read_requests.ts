// The schemas of what a client may ask for over HTTP: a query string becomes a request or the error that answers it.
import * as z from "zod";
import { nanosOf, parseNanoInstant } from "./nano_instant.ts";

export interface ReadBounds {
  readonly historySeconds: number;
  readonly historySamples: number;
}

export interface ParameterError {
  readonly parameter: string;
  /** A sentence that names the parameter and what was expected. */
  readonly message: string;
}

export type Parsed<T> =
  | { readonly ok: true; readonly request: T }
  | { readonly ok: false; readonly error: ParameterError };

/** How many things a list holds where nothing is said, and at most. */
export const LIST_BOUNDS = {
  devices: { fallback: 1_000, max: 10_000 },
  alerts: { fallback: 100, max: 1_000 },
  samples: { fallback: 100 },
  latest: { fallback: 1, max: 10 },
} as const;

const MS_PER_SECOND = 1_000;

function wholeNumber(name: string, { min = 1, max }: { min?: number; max: number }) {
  const sentence = `${name} must be a whole number from ${min} to ${max}`;
  return z.string().regex(/^\d{1,15}$/, sentence).transform(Number).refine(
    (value) => value >= min && value <= max,
    sentence,
  );
}

function instant(name: string) {
  return z.string().transform((text, context) => {
    const read = parseNanoInstant(text);
    if (read !== null) return nanosOf(read);
    context.addIssue({
      code: "custom",
      message:
        `${name} must be an instant of RFC 3339 with at most nine fractional digits, such as 2026-11-18T11:06:42.5Z`,
    });
    return z.NEVER;
  });
}

const Devices = z.strictObject({
  limit: wholeNumber("limit", LIST_BOUNDS.devices).default(LIST_BOUNDS.devices.fallback),
});

const Alerts = z.strictObject({
  status: z.enum(["OPEN", "CLOSED", "ALL"], "status must be OPEN, CLOSED or ALL").default("OPEN"),
  limit: wholeNumber("limit", LIST_BOUNDS.alerts).default(LIST_BOUNDS.alerts.fallback),
});

const Latest = z.strictObject({
  count: wholeNumber("count", LIST_BOUNDS.latest).default(LIST_BOUNDS.latest.fallback),
});

export const parseDevicesRequest = (query: URLSearchParams) => parse(Devices, query);
export const parseAlertsRequest = (query: URLSearchParams) => parse(Alerts, query);
export const parseLatestRequest = (query: URLSearchParams) => parse(Latest, query);

/** `start` and `end` in nanoseconds since the epoch, included and excluded. */
export interface HistoryRequest {
  readonly start: bigint;
  readonly end: bigint;
  readonly limit: number;
  readonly resolutionSeconds: number | null;
}

/** Without bounds: as far back as history goes, up to the latest instant that is read. */
export function parseHistoryRequest(
  query: URLSearchParams,
  { historySeconds, historySamples, nowMs, futureMs }: ReadBounds & {
    readonly nowMs: number;
    readonly futureMs: number;
  },
): Parsed<HistoryRequest> {
  const fallback = Math.min(LIST_BOUNDS.samples.fallback, historySamples);
  const parsed = parse(
    z.strictObject({
      start: instant("start").optional(),
      end: instant("end").optional(),
      limit: wholeNumber("limit", { max: historySamples }).default(fallback),
      resolution_seconds: wholeNumber("resolution_seconds", { max: historySeconds }).optional(),
    }),
    query,
  );
  if (!parsed.ok) return parsed;
  const { limit, resolution_seconds: resolutionSeconds = null } = parsed.request;
  const earliest = nanosOfMs(nowMs - historySeconds * MS_PER_SECOND);
  const { start = earliest, end = nanosOfMs(nowMs + futureMs) + 1n } = parsed.request;
  if (start < earliest) {
    return refuse("start", `start must not be more than ${historySeconds} seconds ago`);
  }
  if (end <= start) {
    // Who gave no start is told of the one that holds.
    const message = parsed.request.start === undefined
      ? `end must not be more than ${historySeconds} seconds ago`
      : parsed.request.end === undefined
      ? "start must not be in the future"
      : "end must be later than start";
    return refuse(parsed.request.end === undefined ? "start" : "end", message);
  }
  return { ok: true, request: { start, end, limit, resolutionSeconds } };
}

function parse<Schema extends z.ZodType>(
  schema: Schema,
  query: URLSearchParams,
): Parsed<z.infer<Schema>> {
  const values: Record<string, string> = Object.create(null);
  for (const [name, value] of query) {
    if (name in values) return refuse(name, `${shown(name)} must be given once`);
    values[name] = value;
  }
  const parsed = schema.safeParse({ ...values });
  if (parsed.success) return { ok: true, request: parsed.data };
  const issue = parsed.error.issues[0];
  if (issue?.code === "unrecognized_keys") {
    const [name = ""] = issue.keys;
    return refuse(name, `${shown(name)} is not a parameter of this path`);
  }
  const name = String(issue?.path[0]);
  return refuse(name, issue?.message ?? `${shown(name)} is not valid`);
}

function refuse(parameter: string, message: string): { ok: false; error: ParameterError } {
  return { ok: false, error: { parameter: shown(parameter), message } };
}

/** A name that a stranger made up is not repeated at any length. */
function shown(name: string): string {
  return name.length <= 64 ? name : `${name.slice(0, 64).toWellFormed()}…`;
}

function nanosOfMs(ms: number): bigint {
  return BigInt(Math.floor(ms)) * 1_000_000n;
}
