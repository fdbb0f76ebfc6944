// `GET /api/v2/events`: a feed as server-sent events. Its client is a connection like any other, with the same scope, the
// same limits and the same feeds; only its socket is another. Whoever is refused is told before a stream begins.
import { Buffer } from "node:buffer";
import { type Context, Hono } from "hono";
import type { CredentialPlace } from "../auth/credential.ts";
import type { Clock } from "../clock.ts";
import { type LimitLedger, type LimitName, limitSentence } from "../limits/limits.ts";
import { type EventsRequest, parseEventsRequest } from "../protocol/event_requests.ts";
import type { Bindings } from "./bearer_scope.ts";
import type { Door, Entrance } from "./door.ts";
import { type Refused, RETRY_MS, type TurnedAway } from "./refused_clients.ts";
import { EventSocket } from "./event_socket.ts";
import { problem } from "./problem.ts";
import { refuseOthers } from "./refuse_others.ts";

export interface EventsOptions {
  readonly door: Door;
  /** A browser's EventSource can't set a header. */
  readonly places: ReadonlySet<CredentialPlace>;
  readonly ledger: LimitLedger;
  /** How often a quiet stream is kept awake. */
  readonly keepAwakeMs: number;
  readonly clock: Clock;
}

type EventsContext = Context<{ Bindings: Bindings }>;
type LetIn = Extract<Entrance, { kind: "let_in" }>;

/** An event stream is told what happens to it, as it can't ask. */
const GREETING = JSON.stringify({ action: "hello", features: ["notices"] });

const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  // Some proxies gather an answer before they pass it on, unless they are told.
  "x-accel-buffering": "no",
} as const;

/** The route below `/api/v2`. */
export function eventRoutes(options: EventsOptions): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();
  const { door, places, ledger } = options;

  app.get("/events", async (context) => {
    const { raw } = context.req;
    const url = new URL(raw.url);
    const { search } = url;
    const handshake = { search, headers: raw.headers, address: context.env.address };
    const entrance = await door.judge(handshake, places);
    if (entrance.kind !== "let_in") {
      if (entrance.kind === "turned_away") entrance.seat.leave();
      return problem(context, entrance.closing, reasonOf(entrance, ledger));
    }
    const request = requestOf(context, { url, ledger });
    if (request instanceof Response || raw.method === "HEAD") {
      entrance.seat.leave();
      return request instanceof Response ? request : context.body(null, 200, HEADERS);
    }
    return stream(context, { options, entrance, request });
  });
  refuseOthers(app, "/events");
  return app;
}

/** What the query asks for, or the problem to answer with. */
function requestOf(
  context: EventsContext,
  { url, ledger }: { readonly url: URL; readonly ledger: LimitLedger },
): EventsRequest | Response {
  const { values } = ledger;
  const parsed = parseEventsRequest(url.searchParams, {
    lastEventId: context.req.raw.headers.get("last-event-id"),
    maxDeviceIdBytes: values.device_id_bytes,
  });
  if (!parsed.ok) {
    const { code, parameter, message: detail, limit } = parsed.error;
    if (limit !== undefined) ledger.crossed(limit);
    return problem(context, code, { parameter, detail });
  }
  const { messages, deviceCount } = parsed.request;
  const isOversize = messages.some((text) => Buffer.byteLength(text) > values.message_bytes);
  const crossed: LimitName | null = deviceCount > values.subscriptions
    ? "subscriptions"
    : isOversize
    ? "message_bytes"
    : null;
  if (crossed === null) return parsed.request;
  ledger.crossed(crossed);
  const detail = limitSentence(crossed, values);
  return problem(context, "invalid_parameter", { parameter: "device_id", detail });
}

function stream(
  context: EventsContext,
  { options, entrance, request }: {
    readonly options: EventsOptions;
    readonly entrance: LetIn;
    readonly request: EventsRequest;
  },
): Response {
  const { env } = context;
  const socket = new EventSocket(() => env.terminate());
  const events = options.door.enter(socket, entrance);
  socket.open(events);
  for (const text of [GREETING, ...request.messages]) events.text(text);
  void keepAwake(socket, options);
  return context.body(socket.body, 200, HEADERS);
}

async function keepAwake(
  socket: EventSocket,
  { clock, keepAwakeMs }: EventsOptions,
): Promise<void> {
  const next = () => {
    socket.keepAwake();
    timer = clock.setTimeout(next, keepAwakeMs);
  };
  let timer = clock.setTimeout(next, keepAwakeMs);
  await socket.ended;
  clock.clearTimeout(timer);
}

function reasonOf(
  { limit, ...refusal }: Refused | TurnedAway,
  { values }: LimitLedger,
): { readonly detail?: string; readonly retryAfterSeconds?: number } {
  if (limit === null) return {};
  const waitMs = refusal.kind === "refused" ? refusal.waitMs ?? RETRY_MS : RETRY_MS;
  return { detail: limitSentence(limit, values), retryAfterSeconds: Math.ceil(waitMs / 1_000) };
}
