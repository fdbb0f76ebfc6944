// The schemas of what a client may ask for over HTTP: a query string becomes a request or the error that answers it.
import * as z from "zod";
import type { LimitName } from "../limits/limits.ts";
import { INSTANT_PATTERN, nanosOf, parseNanoInstant } from "./nano_instant.ts";

export interface ReadBounds {
  readonly historySeconds: number;
  readonly historySamples: number;
}

export interface ParameterError {
  readonly parameter: string;
  /** A sentence that names the parameter and what was expected. */
  readonly message: string;
  /** The limit that was crossed, where it was one. */
  readonly limit?: LimitName;
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

interface WholeNumberOptions {
  readonly max: number;
  /** The limit that `max` is, where it is one. */
  readonly limit?: LimitName;
}

function wholeNumber(name: string, { max, limit }: WholeNumberOptions) {
  const min = 1;
  const sentence = `${name} must be a whole number from ${min} to ${max}`;
  return z.string().regex(/^\d{1,15}$/, sentence).transform(Number).refine(
    (value) => value >= min,
    sentence,
  ).refine((value) => value <= max, { error: sentence, params: { limit } }).meta({
    type: "integer",
    minimum: min,
    maximum: max,
    pattern: undefined,
  });
}

function wholeNumberOr(
  name: string,
  { fallback, ...options }: WholeNumberOptions & { readonly fallback: number },
) {
  return wholeNumber(name, options).default(fallback).meta({ default: fallback });
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
  }).meta({ format: "date-time", pattern: INSTANT_PATTERN });
}

/** Which devices are listed. */
export const DevicesQuery = z.strictObject({
  limit: wholeNumberOr("limit", LIST_BOUNDS.devices),
});

/** Which alerts are listed. */
export const AlertsQuery = z.strictObject({
  status: z.enum(["OPEN", "CLOSED", "ALL"], "status must be OPEN, CLOSED or ALL").default("OPEN"),
  limit: wholeNumberOr("limit", LIST_BOUNDS.alerts),
});

/** How many of a device's newest samples are asked for. */
export const LatestQuery = z.strictObject({
  count: wholeNumberOr("count", LIST_BOUNDS.latest),
});

/** Which samples of a device are asked for, within what is allowed. */
export function historyQuery({ historySeconds, historySamples }: ReadBounds) {
  const fallback = Math.min(LIST_BOUNDS.samples.fallback, historySamples);
  return z.strictObject({
    start: instant("start").optional(),
    end: instant("end").optional(),
    limit: wholeNumberOr("limit", { fallback, max: historySamples, limit: "history_samples" }),
    resolution_seconds: wholeNumber("resolution_seconds", {
      max: historySeconds,
      limit: "history_seconds",
    }).optional(),
  });
}

export const parseDevicesRequest = (query: URLSearchParams) => parse(DevicesQuery, query);
export const parseAlertsRequest = (query: URLSearchParams) => parse(AlertsQuery, query);
export const parseLatestRequest = (query: URLSearchParams) => parse(LatestQuery, query);

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
  const parsed = parse(historyQuery({ historySeconds, historySamples }), query);
  if (!parsed.ok) return parsed;
  const { limit, resolution_seconds: resolutionSeconds = null } = parsed.request;
  const earliest = nanosOfMs(nowMs - historySeconds * MS_PER_SECOND);
  const { start = earliest, end = nanosOfMs(nowMs + futureMs) + 1n } = parsed.request;
  if (start < earliest) {
    const message = `start must not be more than ${historySeconds} seconds ago`;
    return refuse("start", { message, limit: "history_seconds" });
  }
  if (end <= start) {
    // Who gave no start is told of the one that holds.
    if (parsed.request.start === undefined) {
      const message = `end must not be more than ${historySeconds} seconds ago`;
      return refuse("end", { message, limit: "history_seconds" });
    }
    return parsed.request.end === undefined
      ? refuse("start", { message: "start must not be in the future" })
      : refuse("end", { message: "end must be later than start" });
  }
  return { ok: true, request: { start, end, limit, resolutionSeconds } };
}

function parse<Schema extends z.ZodType>(
  schema: Schema,
  query: URLSearchParams,
): Parsed<z.infer<Schema>> {
  const values: Record<string, string> = Object.create(null);
  for (const [name, value] of query) {
    if (name in values) return refuse(name, { message: `${shown(name)} must be given once` });
    values[name] = value;
  }
  const parsed = schema.safeParse({ ...values });
  if (parsed.success) return { ok: true, request: parsed.data };
  const issue = parsed.error.issues[0];
  if (issue?.code === "unrecognized_keys") {
    const [name = ""] = issue.keys;
    return refuse(name, { message: `${shown(name)} is not a parameter of this path` });
  }
  const name = String(issue?.path[0]);
  const message = issue?.message ?? `${shown(name)} is not valid`;
  const limit: LimitName | undefined = issue?.code === "custom" ? issue.params?.limit : undefined;
  return refuse(name, limit === undefined ? { message } : { message, limit });
}

function refuse(
  parameter: string,
  error: Omit<ParameterError, "parameter">,
): { ok: false; error: ParameterError } {
  return { ok: false, error: { parameter: shown(parameter), ...error } };
}

/** A name that a stranger made up is not repeated at any length. */
function shown(name: string): string {
  return name.length <= 64 ? name : `${name.slice(0, 64).toWellFormed()}…`;
}

function nanosOfMs(ms: number): bigint {
  return BigInt(Math.floor(ms)) * 1_000_000n;
}
