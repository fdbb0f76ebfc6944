// Which devices are listed and in what order. Pure: what is live is handed in.
import type { FleetRow } from "./fleet_table.ts";
import { type Health, healthOf } from "./health.ts";

export type FleetShow = "all" | "online" | "stale" | "alerts";
export type FleetOrder = "name" | "trouble";

export interface FleetWish {
  readonly search: string;
  readonly show: FleetShow;
  readonly order: FleetOrder;
}

export interface ListedRow {
  readonly row: FleetRow;
  readonly health: Health;
  readonly ageMs: number;
  readonly alerts: number;
}

export interface FleetFacts {
  readonly nowMs: number;
  readonly staleMs: number;
  readonly isArriving: boolean;
  /** Open alerts by device. */
  readonly alerts: ReadonlyMap<string, number>;
}

const RANK: Readonly<Record<Health, number>> = { stale: 0, old: 1, quiet: 2, live: 3 };

export function listFleet(
  rows: readonly FleetRow[],
  { search, show, order }: FleetWish,
  { nowMs, staleMs, isArriving, alerts }: FleetFacts,
): readonly ListedRow[] {
  const wanted = search.trim().toLowerCase();
  const listed = rows.flatMap((row) => {
    if (wanted !== "" && !row.deviceId.toLowerCase().includes(wanted)) return [];
    const ageMs = Math.max(0, nowMs - row.timeMs);
    const health = healthOf({ ageMs, paceMs: row.paceMs, staleMs, isArriving });
    const count = alerts.get(row.deviceId) ?? 0;
    const isStale = ageMs > staleMs;
    if (show === "online" && isStale) return [];
    if (show === "stale" && !isStale) return [];
    if (show === "alerts" && count === 0) return [];
    return [{ row, health, ageMs, alerts: count }];
  });
  if (order === "name") return listed;
  // Stable: within a rank devices keep their places, so that nothing jumps from tick to tick.
  return listed.toSorted((a, b) =>
    Number(b.alerts > 0) - Number(a.alerts > 0) || RANK[a.health] - RANK[b.health]
  );
}
