// The HTTP routes that are not the socket: liveness, readiness, tickets, the page, and what a socket path says to those
// who don't upgrade.
import { Hono } from "hono";
import { cors } from "hono/cors";
import type { TicketDesk } from "../auth/tickets.ts";
import {
  PAGE_CONFIG_PATH,
  pageConfig,
  pageFile,
  pageHeaders,
  type PageOptions,
} from "../dashboard/page_file.ts";
import type { Log } from "../observe/log.ts";
import type { EngineOptions } from "../sockets/socket.ts";
import { type Bindings, verifiedScope } from "./bearer_scope.ts";
import { eventRoutes, type EventsOptions } from "./events.ts";
import { METRICS_PATH, metricsAnswer, type MetricsText } from "./metrics_page.ts";
import { problem } from "./problem.ts";
import type { Readiness } from "./readiness.ts";
import { refuseOthers } from "./refuse_others.ts";
import { type RestOptions, restRoutes } from "./rest.ts";
import { type StreamStatusOptions, streamStatusRoutes } from "./stream_status.ts";

export const SOCKET_PATH = "/api/v2/ws";

export interface RoutesOptions extends RestOptions, EventsOptions, StreamStatusOptions {
  readonly readiness: Pick<Readiness, "report">;
  /** Whether the whole service can still act; where nothing is said, whoever answers is all of it. */
  readonly isAlive?: () => boolean | Promise<boolean>;
  readonly tickets: TicketDesk;
  readonly ticketSeconds: number;
  /** Origins whose pages may read answers; null adds no header, so only the service's own page may. */
  readonly allowedOrigins: ReadonlySet<string> | null;
  /** A ticket is good here only, so none is given out by a process that goes. */
  readonly isDraining: () => boolean;
  readonly page: PageOptions;
  /** Null where the numbers have a port of their own. */
  readonly metricsText: MetricsText | null;
  readonly log: Log;
}

export type FetchHandler = EngineOptions["fetch"];

/** The handler that every engine serves beside the sockets. */
export function routes(options: RoutesOptions): FetchHandler {
  const app = new Hono<{ Bindings: Bindings }>();
  const { allowedOrigins, readiness, metricsText, log } = options;
  if (allowedOrigins !== null) {
    const share = cors({
      origin: (origin) => allowedOrigins.has(origin) ? origin : null,
      allowHeaders: ["Authorization", "Content-Type", "Last-Event-ID"],
      allowMethods: ["GET", "POST"],
      exposeHeaders: ["Retry-After", "WWW-Authenticate"],
      maxAge: 600,
    });
    // It would answer every OPTIONS itself: those that are no preflight ask what a path allows.
    app.use((context, next) =>
      context.req.method === "OPTIONS" &&
        context.req.header("access-control-request-method") === undefined
        ? next()
        : share(context, next)
    );
  }
  app.get("/livez", async (context) => {
    const isAlive = await options.isAlive?.() ?? true;
    const [text, status] = isAlive ? ["ok\n", 200] as const : ["stuck\n", 503] as const;
    return context.text(text, status, { "cache-control": "no-store" });
  });
  refuseOthers(app, "/livez");
  app.get("/readyz", async (context) => {
    const report = await readiness.report();
    const status = report.status === "ready" ? 200 : 503;
    return context.json(report, status, { "cache-control": "no-store" });
  });
  refuseOthers(app, "/readyz");
  if (metricsText !== null) {
    app.get(METRICS_PATH, () => metricsAnswer(metricsText));
    refuseOthers(app, METRICS_PATH);
  }
  app.get(
    SOCKET_PATH,
    (context) =>
      context.text("Upgrade to WebSocket required\n", 426, {
        upgrade: "websocket",
        connection: "Upgrade",
      }),
  );
  app.post("/api/v2/ws-ticket", async (context) => {
    if (options.isDraining()) return problem(context, "going_away");
    const scope = await verifiedScope(context, options);
    if (scope instanceof Response) return scope;
    const ticket = await options.tickets.issue(scope);
    const headers = { "cache-control": "no-store" };
    return context.json({ ticket, expires_in: options.ticketSeconds }, 200, headers);
  });
  app.route("/api/v2", eventRoutes(options));
  app.route("/api/v2", restRoutes(options));
  app.route("/api/v2", streamStatusRoutes(options));
  app.get(
    PAGE_CONFIG_PATH,
    (context) =>
      context.json(pageConfig(options.page), 200, {
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
      }),
  );
  const headers = pageHeaders(options.page);
  app.get("*", async (context, next) => {
    const file = await pageFile(context.req.path);
    return file === null ? await next() : context.body(file.text, 200, {
      ...headers,
      "content-type": file.contentType,
    });
  });
  app.onError((error, context) => {
    log.error("request_failed", { error });
    return problem(context, "internal");
  });
  app.notFound((context) => context.text("Not found\n", 404));
  return (request, peer) => app.fetch(request, peer);
}
