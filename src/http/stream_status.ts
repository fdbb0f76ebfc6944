// `GET /api/v2/stream/status`: what the token's own tenant has open, how its feed and the sources are, and how much of its
// limits it uses. It must tell nothing of another tenant and nothing of another user by name.
import { type Context, Hono } from "hono";
import type { Scope } from "../auth/scope.ts";
import type { Clock } from "../clock.ts";
import type { LimitName } from "../limits/limits.ts";
import type { Seating } from "../limits/seats.ts";
import type { TenantUsage } from "../observe/metrics.ts";
import type { SourceName } from "../protocol/server_messages.ts";
import { type BearerOptions, bearerScope, type Bindings } from "./bearer_scope.ts";
import { refuseOthers } from "./refuse_others.ts";

export interface StreamStatusOptions extends BearerOptions {
  readonly seats: Seating;
  readonly stream: StreamState;
  /** `pulsewire/<version>` */
  readonly server: string;
  readonly clock: Clock;
}

/** How the rooms behind the door stand, asked for one tenant at a time; other threads may have to be asked, too. */
export interface StreamState {
  readonly usageOf: (tenantId: string) => Usage | Promise<Usage>;
  /** The greatest number of devices that one of the tenant's connections follows by name. */
  readonly mostDevicesOf: (tenantId: string) => number | Promise<number>;
  /** Undefined while no feed of the tenant runs. */
  readonly feedOf: (tenantId: string) => FeedState | undefined | Promise<FeedState | undefined>;
  readonly sources: () => States | Promise<States>;
}

type Usage = Omit<TenantUsage, "tenantId">;
type States = Readonly<Record<SourceName, { readonly state: string }>>;

export interface FeedState {
  /** Devices that are followed by name, each counted once. */
  readonly devices: number;
  /** What each source is to this tenant; null while there was nothing to tell. */
  readonly sources: Readonly<Record<SourceName, SourceStanding | null>>;
}

interface SourceStanding {
  readonly state: "ok" | "degraded";
  /** In milliseconds since the epoch. */
  readonly since: number;
  readonly retryAt: number | null;
}

/** The limits that bound what a tenant takes, and not one message. */
const SHOWN: readonly LimitName[] = [
  "connections_per_tenant",
  "connections_per_user",
  "subscriptions",
  "messages_per_second",
  "requests_per_second",
  "fleet_devices",
  "open_alerts",
];

/** The route below `/api/v2`. */
export function streamStatusRoutes(options: StreamStatusOptions): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();
  app.get("/stream/status", async (context: Context<{ Bindings: Bindings }>) => {
    const scope = await bearerScope(context, options);
    if (scope instanceof Response) return scope;
    return context.json(await statusOf(scope, options), 200, { "cache-control": "no-store" });
  });
  refuseOthers(app, "/stream/status");
  return app;
}

async function statusOf(
  scope: Scope,
  { clock, ledger, seats, server, stream }: StreamStatusOptions,
) {
  const { tenantId } = scope;
  const [{ connections, subscriptions }, mostDevices, feed, states, taken] = await Promise.all([
    stream.usageOf(tenantId),
    stream.mostDevicesOf(tenantId),
    stream.feedOf(tenantId),
    stream.sources(),
    seats.takenFor(scope),
  ]);
  const used: Partial<Record<LimitName, number>> = { ...taken, subscriptions: mostDevices };
  return {
    tenant_id: tenantId,
    server,
    connections,
    subscriptions,
    feed: {
      state: feed === undefined ? "idle" : "running",
      devices: feed?.devices ?? 0,
      sources: {
        telemetry: standing(feed?.sources.telemetry, clock),
        alerts: standing(feed?.sources.alerts, clock),
      },
    },
    sources: { telemetry: states.telemetry.state, alerts: states.alerts.state },
    limits: Object.fromEntries(SHOWN.map((name) => [name, {
      value: ledger.values[name],
      ...(used[name] === undefined ? {} : { used: used[name] }),
    }])),
  };
}

/** Null while the feed was told nothing of the source. */
function standing(status: SourceStanding | null | undefined, clock: Clock) {
  if (status === null || status === undefined) return null;
  const { state, since, retryAt } = status;
  return {
    state,
    since: new Date(since).toISOString(),
    ...(retryAt === null ? {} : { retry_in_ms: Math.max(0, retryAt - clock.now()) }),
  };
}
