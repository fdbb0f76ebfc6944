// Devices, samples and alerts over plain HTTP, each answer read for the tenant of its token. Nothing that could not be
// read is ever answered with an empty list.
import { Buffer } from "node:buffer";
import { type Context, Hono } from "hono";
import type { Scope } from "../auth/scope.ts";
import type { Clock } from "../clock.ts";
import { type LimitLedger, limitSentence } from "../limits/limits.ts";
import { DeviceId } from "../protocol/message_fields.ts";
import { instantOfNanos } from "../protocol/nano_instant.ts";
import {
  type ParameterError,
  parseAlertsRequest,
  type Parsed,
  parseDevicesRequest,
  parseHistoryRequest,
  parseLatestRequest,
} from "../protocol/read_requests.ts";
import { type BearerOptions, bearerScope, type Bindings } from "./bearer_scope.ts";
import { problem } from "./problem.ts";
import { refuseOthers } from "./refuse_others.ts";
import type { RestAnswer, RestReads, RestSamples } from "./rest_reads.ts";

export interface RestOptions extends BearerOptions {
  readonly reads: RestReads;
  /** How far ahead of the clock a sample may lie. */
  readonly futureMs: number;
  /** `pulsewire/<version>` */
  readonly server: string;
  readonly clock: Clock;
}

type RestContext = Context<{ Bindings: Bindings }>;

/** Who asks, and the signal that falls when they are gone. */
interface Asker {
  readonly tenantId: string;
  readonly signal: AbortSignal;
}

type Handler = (context: RestContext, asker: Asker) => Promise<Response>;

const NO_STORE = { "cache-control": "no-store" };

/** What is told where a source gives no answer, beside the code. */
const REFUSALS = {
  unavailable: { code: "source_unavailable", detail: undefined },
  missing: { code: "source_unavailable", detail: "This tenant has no store of telemetry yet" },
  busy: { code: "too_many_requests", detail: "Too many reads of this kind are under way" },
} as const;

/** The routes below `/api/v2`. */
export function restRoutes(options: RestOptions): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();
  const { reads, clock, futureMs, ledger } = options;
  const { history_seconds: historySeconds, history_samples: historySamples } = ledger.values;

  const read = (path: string, handler: Handler) => {
    app.get(path, (context) => authorized(context, { options, handler }));
    refuseOthers(app, path);
  };

  app.get("/health", async (context) => {
    const sources = await reads.states();
    const states = Object.values(sources);
    const status = states.includes("degraded")
      ? "degraded"
      : states.includes("unknown")
      ? "starting"
      : "ok";
    return context.json({ status, server: options.server, sources }, 200, NO_STORE);
  });
  refuseOthers(app, "/health");

  read("/devices", async (context, { tenantId, signal }) => {
    const parsed = parseDevicesRequest(queryOf(context));
    if (!parsed.ok) return invalid(context, parsed.error);
    const answer = await reads.devices({ tenantId, limit: parsed.request.limit, signal });
    if (!answer.ok) return refused(context, answer);
    const { devices, truncated } = answer.value;
    return context.json(
      { tenant_id: tenantId, devices, count: devices.length, ...cut(truncated) },
      200,
      NO_STORE,
    );
  });

  read("/devices/:id/telemetry", async (context, { tenantId, signal }) => {
    const parsed = parseHistoryRequest(queryOf(context), {
      historySeconds,
      historySamples,
      nowMs: clock.now(),
      futureMs,
    });
    return await samples(
      context,
      { parsed, ledger },
      ({ start, end, limit, resolutionSeconds }, deviceId) =>
        reads.samples({
          tenantId,
          deviceId,
          after: instantOfNanos(start - 1n),
          until: instantOfNanos(end - 1n),
          maxSamples: limit,
          resolutionSeconds,
          signal,
        }),
    );
  });

  read("/devices/:id/telemetry/latest", async (context, { tenantId, signal }) => {
    const parsed = parseLatestRequest(queryOf(context));
    return await samples(
      context,
      { parsed, ledger },
      ({ count }, deviceId) => reads.latest({ tenantId, deviceId, count, signal }),
    );
  });

  read("/alerts", async (context, { tenantId, signal }) => {
    const parsed = parseAlertsRequest(queryOf(context));
    if (!parsed.ok) return invalid(context, parsed.error);
    const { status, limit } = parsed.request;
    // One more than is wanted tells whether there are more.
    const answer = await reads.alerts({ tenantId, status, limit: limit + 1, signal });
    if (!answer.ok) return refused(context, answer);
    const alerts = answer.value.slice(0, limit);
    return context.json(
      { tenant_id: tenantId, alerts, count: alerts.length, ...cut(answer.value.length > limit) },
      200,
      NO_STORE,
    );
  });
  return app;
}

async function authorized(
  context: RestContext,
  { options, handler }: { readonly options: RestOptions; readonly handler: Handler },
): Promise<Response> {
  const scope: Scope | Response = await bearerScope(context, options);
  if (scope instanceof Response) return scope;
  const { signal } = context.req.raw;
  try {
    return await handler(context, { tenantId: scope.tenantId, signal });
  } catch (error) {
    // Nobody is there to read what would be said of a read that ended because its client left.
    if (signal.aborted) return problem(context, "going_away");
    throw error;
  }
}

async function samples<Request>(
  context: RestContext,
  { parsed, ledger }: { parsed: Parsed<Request>; ledger: LimitLedger },
  ask: (request: Request, deviceId: string) => Promise<RestAnswer<RestSamples>>,
): Promise<Response> {
  const id = DeviceId.safeParse(context.req.param("id"));
  if (!id.success) {
    return problem(context, "invalid_device_id", { detail: id.error.issues[0]?.message });
  }
  if (Buffer.byteLength(id.data) > ledger.values.device_id_bytes) {
    ledger.crossed("device_id_bytes");
    const detail = limitSentence("device_id_bytes", ledger.values);
    return problem(context, "invalid_device_id", { detail });
  }
  if (!parsed.ok) {
    if (parsed.error.limit !== undefined) ledger.crossed(parsed.error.limit);
    return invalid(context, parsed.error);
  }
  const answer = await ask(parsed.request, id.data);
  if (!answer.ok) return refused(context, answer);
  const { samples: telemetry, isTruncated, isIncomplete } = answer.value;
  const body = {
    device_id: id.data,
    telemetry,
    count: telemetry.length,
    ...cut(isTruncated),
    ...(isIncomplete ? { incomplete: true } : {}),
  };
  return context.json(body, 200, NO_STORE);
}

/** A list that was cut at its limit says so; every other has no such field. */
function cut(isTruncated: boolean): { readonly truncated?: true } {
  return isTruncated ? { truncated: true } : {};
}

function queryOf(context: RestContext): URLSearchParams {
  return new URL(context.req.url).searchParams;
}

function invalid(context: RestContext, { parameter, message }: ParameterError): Response {
  return problem(context, "invalid_parameter", { parameter, detail: message });
}

function refused(
  context: RestContext,
  { refusal, retryAfterMs }: Extract<RestAnswer<unknown>, { ok: false }>,
): Response {
  const { code, detail } = REFUSALS[refusal];
  return problem(context, code, { detail, retryAfterSeconds: Math.ceil(retryAfterMs / 1_000) });
}
