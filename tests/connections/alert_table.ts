// Alerts of the tenant "acme" as its table holds them, by seconds after the fake clock's beginning.
import type { StoredAlert } from "../support/fake_sources.ts";
import { alertOf } from "../support/samples.ts";
import type { ConnectionsFixture } from "./connections_fixture.ts";

const START_MS = Date.UTC(2026, 10, 18, 11);

function micros(second: number): string {
  return `${new Date(START_MS + second * 1_000).toISOString().slice(0, 23)}000Z`;
}

/** An alert that was opened so many seconds after the start. */
export function opened(
  alertId: number,
  second: number,
  fields: Partial<StoredAlert> = {},
): StoredAlert {
  return { ...alertOf(alertId), created_at: micros(second), ...fields };
}

export function closed(alert: StoredAlert, second: number): StoredAlert {
  return { ...alert, status: "CLOSED", closed_at: micros(second) };
}

/** Sets what the table holds, newest first. */
export function table(service: ConnectionsFixture, ...alerts: readonly StoredAlert[]): void {
  service.sources.setAlerts("acme", alerts);
}
