// Which of a tenant's alerts one subscription follows, and what of a change it has to be told. Pure: it must tell nothing
// twice, and name no alert closed that was never named open.
import type { Alert, AlertChanges } from "../protocol/server_messages.ts";

/** What a client knows beyond the state that it was told. */
export interface AlertView {
  /** Alerts of the chosen devices that it was told are open; null where it follows those of all devices. */
  readonly mine: ReadonlySet<number> | null;
  /** Alerts whose closing a catch-up has told, which the next changes may tell again. */
  readonly told: ReadonlySet<number>;
}

export interface ViewedChanges {
  readonly changes: AlertChanges;
  /** What it knows once it was told. */
  readonly view: AlertView;
}

export const NOTHING_TOLD: ReadonlySet<number> = new Set();

/** The alerts of these devices; of all where there are none. */
export function chosenAlerts(
  alerts: readonly Alert[],
  deviceIds: ReadonlySet<string> | null,
): readonly Alert[] {
  return deviceIds === null ? alerts : alerts.filter((alert) => isOf(alert, deviceIds));
}

/** What a client knows that was told these alerts and nothing else. */
export function viewOf(
  alerts: readonly Alert[],
  deviceIds: ReadonlySet<string> | null,
): AlertView {
  return { mine: deviceIds === null ? null : idsOf(alerts), told: NOTHING_TOLD };
}

/** What of the changes a client has to be told. */
export function viewedChanges(
  { opened, updated, closed }: AlertChanges,
  { deviceIds, view }: { readonly deviceIds: ReadonlySet<string> | null; readonly view: AlertView },
): ViewedChanges {
  const { mine, told } = view;
  const closing = new Set(closed);
  const isMine = (alertId: number) => mine === null || mine.has(alertId);
  // One that was told closed and is open again is news; one that only came and went is not.
  const news = chosenAlerts(opened, deviceIds)
    .filter(({ alert_id }) => !(told.has(alert_id) && closing.has(alert_id)));
  const changed: Alert[] = [];
  const gone: number[] = [];
  for (const alert of updated) {
    // An alert may come to another device.
    const isChosen = deviceIds === null || isOf(alert, deviceIds);
    if (isChosen) (isMine(alert.alert_id) ? changed : news).push(alert);
    else if (isMine(alert.alert_id)) gone.push(alert.alert_id);
  }
  const named = idsOf(news);
  for (const alertId of closed) {
    const isKnown = named.has(alertId) || (isMine(alertId) && !told.has(alertId));
    if (isKnown) gone.push(alertId);
  }
  return {
    changes: { opened: news, updated: changed, closed: gone },
    view: {
      mine: mine === null ? null : without(new Set([...mine, ...named]), gone),
      told: told.size === 0 ? told : without(told, named),
    },
  };
}

function isOf({ device_id }: Alert, deviceIds: ReadonlySet<string>): boolean {
  return device_id !== null && deviceIds.has(device_id);
}

export function idsOf(alerts: readonly Alert[]): ReadonlySet<number> {
  return new Set(alerts.map(({ alert_id }) => alert_id));
}

function without(all: ReadonlySet<number>, some: Iterable<number>): ReadonlySet<number> {
  const rest = new Set(all);
  for (const one of some) rest.delete(one);
  return rest;
}
