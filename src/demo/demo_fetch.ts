// Puts `GET /demo.json`, tokens for everybody who asks, before the app's own routes; only for those on this machine.
import { signDemoToken } from "./demo_token.ts";
import type { EngineOptions } from "../sockets/socket.ts";
import type { FleetTenant } from "./fleet.ts";

type Fetch = EngineOptions["fetch"];

export interface DemoFetchOptions {
  readonly fleet: readonly FleetTenant[];
  readonly secret: string;
}

/** A page of another site can have its name resolve to this machine, but it can't say one of these. */
const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(["127.0.0.1", "localhost", "[::1]"]);

const HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "cross-origin-resource-policy": "same-origin",
} as const;

export function demoFetch(fetch: Fetch, { fleet, secret }: DemoFetchOptions): Fetch {
  return async (request, peer) => {
    const url = new URL(request.url);
    if (url.pathname !== "/demo.json") return await fetch(request, peer);
    if (!LOOPBACK_HOSTS.has(url.hostname)) {
      return refuse(403, "The demo gives tokens to this machine only\n");
    }
    if (request.method !== "GET") return refuse(405, "Method not allowed\n", { allow: "GET" });
    const tenants = await Promise.all(fleet.map(async ({ tenantId, name, devices }) => ({
      tenant_id: tenantId,
      name,
      token: await signDemoToken({ secret, tenantId }),
      devices: devices.map(({ deviceId }) => deviceId),
    })));
    return Response.json({ tenants }, { headers: HEADERS });
  };
}

function refuse(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(text, { status, headers: { ...HEADERS, ...headers } });
}
