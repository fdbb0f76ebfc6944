// What one tenant's clients have open and follow, counted when somebody asks: nothing is kept for it, so that no push pays.
import type { SubscriptionKind, TenantUsage, Transport } from "../observe/metrics.ts";
import type { TenantGroup } from "./tenant_group.ts";

/** Counts by what clients asked for: who follows all devices has one such subscription. */
export function usageOf(
  { tenantId, connections }: Pick<TenantGroup, "tenantId" | "connections">,
): TenantUsage {
  const open: Record<Transport, number> = { websocket: 0, events: 0 };
  const held: Record<SubscriptionKind, number> = { device: 0, all_devices: 0, alerts: 0, fleet: 0 };
  for (const { socket, devices, all, alerts, fleet } of connections) {
    // Only the client of an event stream comes back with what it was sent.
    open[socket.isResumable === true ? "events" : "websocket"]++;
    held.device += devices.size;
    if (all !== null) held.all_devices++;
    if (alerts !== null) held.alerts++;
    if (fleet !== null) held.fleet++;
  }
  return { tenantId, connections: open, subscriptions: held };
}
